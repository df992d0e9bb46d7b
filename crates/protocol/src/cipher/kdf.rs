//! HKDF-SHA-256 (RFC 5869) and HMAC-SHA-256 (RFC 2104) with lengths known to the compiler, so that neither can fail.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

/// The length of a SHA-256 hash, and of everything that is keyed by one.
pub const HASH_LENGTH: usize = 32;

/// `HKDF(salt, secret, info, N)`.
#[must_use]
#[expect(clippy::expect_used, reason = "the constant above it proves to the compiler that the length is allowed")]
pub fn hkdf<const N: usize>(salt: &[u8], secret: &[u8], info: &[u8]) -> Zeroizing<[u8; N]> {
    const { assert!(N <= 255 * HASH_LENGTH, "RFC 5869 ends there") };
    let mut output = Zeroizing::new([0; N]);
    Hkdf::<Sha256>::new(Some(salt), secret).expand(info, output.as_mut()).expect("N is at most 255 hashes");
    output
}

/// `HMAC(key, message)`.
#[must_use]
#[inline]
pub fn hmac(key: &[u8; HASH_LENGTH], message: &[u8]) -> [u8; HASH_LENGTH] {
    let mut keyed = keyed(key);
    keyed.update(message);
    keyed.finalize().into_bytes().into()
}

/// `HMAC(key, first)` and `HMAC(key, second)`, hashing the key once.
#[must_use]
#[inline]
pub fn hmac_pair(key: &[u8; HASH_LENGTH], first: &[u8], second: &[u8]) -> ([u8; HASH_LENGTH], [u8; HASH_LENGTH]) {
    let mut for_second = keyed(key);
    let mut for_first = for_second.clone();
    for_first.update(first);
    for_second.update(second);
    (for_first.finalize().into_bytes().into(), for_second.finalize().into_bytes().into())
}

#[inline]
#[expect(clippy::expect_used, reason = "RFC 2104 takes keys of every length; the trait speaks for other algorithms")]
fn keyed(key: &[u8; HASH_LENGTH]) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length")
}

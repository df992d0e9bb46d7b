//! Triple Diffie-Hellman: from four key pairs, of which each side holds two, to the first root key and chain key.
//!
//! `S = ECDH(I_A, E_B) ‖ ECDH(E_A, I_B) ‖ ECDH(E_A, E_B)`, and `R_0 ‖ C_0,0 = HKDF(0, S, "OLM_ROOT", 64)`
//! (<https://spec.matrix.org/v1.19/olm-megolm/olm/#initial-setup>). The order of the three is Alice's; Bob, who computes
//! the same from the other halves, must write them in her order too.

use zeroize::Zeroizing;

use super::session::chain_key::ChainKey;
use super::session::root_key::{RootBytes, split_root_and_chain};
use crate::cipher::kdf::hkdf;
use crate::key::{Curve25519PublicKey, Curve25519SecretKey, NonContributoryKey, SharedSecret};

/// `R_0` and `C_0,0` as Alice computes them.
pub(super) fn of_alice(
    identity_key: &Curve25519SecretKey,
    base_key: &Curve25519SecretKey,
    their_identity_key: &Curve25519PublicKey,
    their_one_time_key: &Curve25519PublicKey,
) -> Result<(RootBytes, ChainKey), NonContributoryKey> {
    Ok(expand(
        &identity_key.diffie_hellman(their_one_time_key)?,
        &base_key.diffie_hellman(their_identity_key)?,
        &base_key.diffie_hellman(their_one_time_key)?,
    ))
}

/// `R_0` and `C_0,0` as Bob computes them.
pub(super) fn of_bob(
    identity_key: &Curve25519SecretKey,
    one_time_key: &Curve25519SecretKey,
    their_identity_key: &Curve25519PublicKey,
    their_base_key: &Curve25519PublicKey,
) -> Result<(RootBytes, ChainKey), NonContributoryKey> {
    Ok(expand(
        &one_time_key.diffie_hellman(their_identity_key)?,
        &identity_key.diffie_hellman(their_base_key)?,
        &one_time_key.diffie_hellman(their_base_key)?,
    ))
}

fn expand(first: &SharedSecret, second: &SharedSecret, third: &SharedSecret) -> (RootBytes, ChainKey) {
    let mut secret = Zeroizing::new([0; 3 * SharedSecret::LENGTH]);
    for (part, shared) in secret.chunks_exact_mut(SharedSecret::LENGTH).zip([first, second, third]) {
        part.copy_from_slice(shared.as_bytes());
    }
    split_root_and_chain(&hkdf::<64>(&[0], secret.as_ref(), b"OLM_ROOT"))
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    use super::{of_alice, of_bob};
    use crate::key::{Curve25519PublicKey, Curve25519SecretKey, NonContributoryKey};

    #[test]
    fn both_sides_compute_the_same_and_a_third_does_not() {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let [alice, base, bob, one_time, eve] = std::array::from_fn(|_| Curve25519SecretKey::generate(&mut rng));
        let hers = of_alice(&alice, &base, &bob.public_key(), &one_time.public_key()).unwrap();
        let his = of_bob(&bob, &one_time, &alice.public_key(), &base.public_key()).unwrap();
        assert_eq!(hers.0.as_ref(), his.0.as_ref());
        assert_eq!(hers.1.as_bytes(), his.1.as_bytes());
        let third = of_bob(&eve, &one_time, &alice.public_key(), &base.public_key()).unwrap();
        assert_ne!(hers.0.as_ref(), third.0.as_ref());
    }

    #[test]
    fn any_key_of_small_order_is_refused() {
        let mut rng = ChaCha20Rng::seed_from_u64(4);
        let [ours, other] = std::array::from_fn(|_| Curve25519SecretKey::generate(&mut rng));
        let (good, bad) = (ours.public_key(), Curve25519PublicKey::from_bytes([0; 32]));
        for (identity, second) in [(&bad, &good), (&good, &bad)] {
            assert_eq!(of_alice(&ours, &other, identity, second).err(), Some(NonContributoryKey));
            assert_eq!(of_bob(&ours, &other, identity, second).err(), Some(NonContributoryKey));
        }
    }
}

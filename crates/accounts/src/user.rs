//! How rows are filed under a user.

use ruma::UserId;
use sha2::{Digest, Sha256};

/// The part of a key that stands for `user`. Ids may be nearly as long as keys and are chosen by anybody, so it is their
/// whole hash.
pub fn digest(user: &UserId) -> [u8; 32] {
    Sha256::digest(user.as_str()).into()
}

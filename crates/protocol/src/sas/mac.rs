//! What each side vouches for, under the secret that the people have confirmed.

use std::collections::BTreeMap;

use subtle::ConstantTimeEq as _;

use super::{Confirmed, Party, SasError};
use crate::canonical::Object;
use crate::cipher::kdf;
use crate::encoding;
use crate::key::Ed25519PublicKey;

/// A key that the other side has vouched for: what [`crate::bundle::trust`] asks for as `compared`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedKey {
    /// `ed25519:` and a device id or a master key.
    pub key_id: String,
    /// The key, as we had it before the verification began.
    pub key: Ed25519PublicKey,
}

impl Confirmed {
    /// Vouches for keys of ours: our device key, and our master key if we trust it. The content of the MAC message.
    ///
    /// <https://spec.matrix.org/v1.19/client-server-api/#mac-calculation>
    #[must_use]
    pub fn vouch(&self, keys: &BTreeMap<String, Ed25519PublicKey>) -> Object {
        let mac = |key_id: &str, text: &str| encoding::encode(self.mac(&self.flow.us, &self.flow.them, key_id, text));
        let macs: Object =
            keys.iter().map(|(key_id, key)| (key_id.clone(), mac(key_id, &key.to_base64()).into())).collect();
        let list = keys.keys().map(String::as_str).collect::<Vec<_>>().join(",");
        let content = Object::new().with("mac", macs).with("keys", mac("KEY_IDS", &list));
        self.flow.reference.write(content)
    }

    /// Checks what the other side vouches for against the keys of theirs that we have had since before the verification.
    ///
    /// Keys that we do not know are left out of the answer, as another device may vouch for what we have not seen yet.
    ///
    /// # Errors
    /// [`SasError::WrongMac`] if any MAC of a known key, or that of the list, is wrong; [`SasError::NothingVerified`] if no key is known.
    pub fn verify(
        &self,
        content: &Object,
        known: &BTreeMap<String, Ed25519PublicKey>,
    ) -> Result<Vec<VerifiedKey>, SasError> {
        self.flow.reference.check(content)?;
        let macs = content.object("mac")?;
        // An object's names are sorted and unique, as the list must be.
        let list = macs.iter().map(|(key_id, _)| key_id).collect::<Vec<_>>().join(",");
        self.check("KEY_IDS", &list, content.string("keys")?)?;
        let mut verified = Vec::new();
        for (key_id, _) in macs.iter() {
            let mac = macs.string(key_id)?;
            if let Some(key) = known.get(key_id) {
                self.check(key_id, &key.to_base64(), mac)?;
                verified.push(VerifiedKey { key_id: key_id.to_owned(), key: *key });
            }
        }
        if verified.is_empty() { Err(SasError::NothingVerified) } else { Ok(verified) }
    }

    fn check(&self, key_id: &str, text: &str, mac: &str) -> Result<(), SasError> {
        let wrong = || SasError::WrongMac(key_id.to_owned());
        let mac = encoding::decode_lenient(mac).map_err(|_| wrong())?;
        let expected = self.mac(&self.flow.them, &self.flow.us, key_id, text);
        if bool::from(expected.ct_eq(mac.as_slice())) { Ok(()) } else { Err(wrong()) }
    }

    fn mac(&self, sender: &Party, receiver: &Party, key_id: &str, text: &str) -> [u8; 32] {
        let info = format!(
            "MATRIX_KEY_VERIFICATION_MAC{}{}{}{}{}{key_id}",
            sender.user_id,
            sender.device_id,
            receiver.user_id,
            receiver.device_id,
            self.flow.reference.id()
        );
        kdf::hmac(&kdf::hkdf::<32>(&[], self.secret.as_bytes(), info.as_bytes()), text.as_bytes())
    }
}

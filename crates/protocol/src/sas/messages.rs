//! The messages of a verification, as far as they carry more than a reference.

use sha2::{Digest as _, Sha256};

use super::{Flow, Party, SasError};
use crate::canonical::{FieldError, Object};
use crate::encoding;
use crate::key::Curve25519PublicKey;

const METHOD: &str = "m.sas.v1";
const KEY_AGREEMENT: &str = "curve25519-hkdf-sha256";
const HASH: &str = "sha256";
const MAC: &str = "hkdf-hmac-sha256.v2";
const DECIMAL: &str = "decimal";
const EMOJI: &str = "emoji";

/// How the messages of one verification find together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// To-device messages with this `transaction_id`.
    ToDevice(String),
    /// Events in a room that refer to the request event of this id.
    InRoom(String),
}

impl Reference {
    /// What stands for the transaction id in everything that is hashed.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::ToDevice(id) | Self::InRoom(id) => id,
        }
    }

    /// Adds the reference to a content.
    pub(super) fn write(&self, content: Object) -> Object {
        match self {
            Self::ToDevice(id) => content.with("transaction_id", id.as_str()),
            Self::InRoom(id) => content
                .with("m.relates_to", Object::new().with("rel_type", "m.reference").with("event_id", id.as_str())),
        }
    }

    /// Whether a received content has this reference.
    pub(super) fn check(&self, content: &Object) -> Result<(), SasError> {
        let matches = match self {
            Self::ToDevice(id) => content.string("transaction_id")? == id,
            Self::InRoom(id) => {
                let relation = content.object("m.relates_to")?;
                relation.string("rel_type")? == "m.reference" && relation.string("event_id")? == id
            }
        };
        if matches { Ok(()) } else { Err(SasError::OtherVerification) }
    }
}

/// The message that begins a verification. Its content is part of what is committed to, so it is kept as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    content: Object,
    emoji: bool,
}

impl Start {
    pub(super) fn new(flow: &Flow) -> Self {
        let content = Object::new()
            .with("from_device", flow.us.device_id.as_str())
            .with("method", METHOD)
            .with("key_agreement_protocols", vec![KEY_AGREEMENT])
            .with("hashes", vec![HASH])
            .with("message_authentication_codes", vec![MAC])
            .with("short_authentication_string", vec![DECIMAL, EMOJI]);
        Self { content: flow.reference.write(content), emoji: true }
    }

    pub(super) fn parse(content: Object, from: &Party) -> Result<Self, SasError> {
        if content.string("from_device")? != from.device_id {
            return Err(SasError::OtherVerification);
        }
        if content.string("method")? != METHOD {
            return Err(SasError::NoCommonMethod("method"));
        }
        for (field, ours) in
            [("key_agreement_protocols", KEY_AGREEMENT), ("hashes", HASH), ("message_authentication_codes", MAC)]
        {
            if !content.strings(field)?.contains(&ours) {
                return Err(SasError::NoCommonMethod(field));
            }
        }
        let shown = content.strings("short_authentication_string")?;
        if !shown.contains(&DECIMAL) {
            return Err(SasError::NoCommonMethod("short_authentication_string"));
        }
        let emoji = shown.contains(&EMOJI);
        Ok(Self { content, emoji })
    }

    /// The content of the message.
    #[must_use]
    pub fn content(&self) -> &Object {
        &self.content
    }

    pub(super) fn offers_emoji(&self) -> bool {
        self.emoji
    }

    /// What an accepter with this key commits to: `SHA-256(key ‖ start)`, the key in base64, the start in canonical JSON.
    pub(super) fn commitment(&self, key: &Curve25519PublicKey) -> String {
        let hash = Sha256::new().chain_update(key.to_base64()).chain_update(self.content.to_canonical()).finalize();
        encoding::encode(hash)
    }
}

pub(super) fn accept(reference: &Reference, start: &Start, key: &Curve25519PublicKey) -> Object {
    let shown = if start.emoji { vec![DECIMAL, EMOJI] } else { vec![DECIMAL] };
    let content = Object::new()
        .with("method", METHOD)
        .with("key_agreement_protocol", KEY_AGREEMENT)
        .with("hash", HASH)
        .with("message_authentication_code", MAC)
        .with("short_authentication_string", shown)
        .with("commitment", start.commitment(key));
    reference.write(content)
}

/// Checks that an accept chose what we offered; whether emoji are among what both can show.
pub(super) fn check_accept(content: &Object) -> Result<bool, SasError> {
    for (field, ours) in
        [("key_agreement_protocol", KEY_AGREEMENT), ("hash", HASH), ("message_authentication_code", MAC)]
    {
        if content.string(field)? != ours {
            return Err(SasError::NoCommonMethod(field));
        }
    }
    // Required by the schema, and left out by some clients.
    if content.optional_string("method")?.is_some_and(|method| method != METHOD) {
        return Err(SasError::NoCommonMethod("method"));
    }
    let shown = content.strings("short_authentication_string")?;
    let emoji = shown.contains(&EMOJI);
    if !emoji && !shown.contains(&DECIMAL) {
        return Err(SasError::NoCommonMethod("short_authentication_string"));
    }
    Ok(emoji)
}

pub(super) fn key(reference: &Reference, key: &Curve25519PublicKey) -> Object {
    reference.write(Object::new().with("key", key.to_base64()))
}

/// The key in a key message. Read leniently as to padding, and then used in its one form everywhere.
pub(super) fn parse_key(content: &Object) -> Result<Curve25519PublicKey, SasError> {
    let bytes = encoding::decode_lenient(content.string("key")?)
        .map_err(|_| FieldError::Type { name: "key".to_owned(), expected: "a Curve25519 key" })?;
    Ok(Curve25519PublicKey::from_slice(&bytes)?)
}

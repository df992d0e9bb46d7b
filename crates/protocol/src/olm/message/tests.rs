//! Both message types: their wire form, and what is refused.

use super::{DecodeError, MessageType, NormalMessage, OlmMessage, PreKeyMessage};
use crate::cipher::CipherKeys;
use crate::encoding::Base64Error;
use crate::key::{Curve25519PublicKey, KeyError};
use crate::olm::{SessionConfig, SessionKeys};
use crate::wire::{self, WireError};

fn key(byte: u8) -> Curve25519PublicKey {
    Curve25519PublicKey::from_bytes([byte; 32])
}

fn normal(config: SessionConfig) -> NormalMessage {
    NormalMessage::seal(config, key(1), 300, &CipherKeys::derive(&[], b"key", b""), b"plaintext")
}

#[test]
fn a_normal_message_is_laid_out_as_the_specification_says() {
    for (config, version, mac_length) in [(SessionConfig::V1, 3, 8), (SessionConfig::V2, 4, 32)] {
        let message = normal(config);
        let bytes = message.as_bytes();
        assert_eq!(bytes[..3], [version, 0x0a, 32]);
        assert_eq!(bytes[3..35], [1; 32]);
        assert_eq!(bytes[35..40], [0x10, 0xac, 0x02, 0x22, 16]);
        assert_eq!(bytes.len(), 40 + 16 + mac_length);
        let (covered, mac) = message.authenticated();
        assert_eq!((covered.len(), mac.len()), (56, mac_length));
        assert_eq!(message.ciphertext(), &bytes[40..56]);
        assert_eq!(NormalMessage::from_bytes(bytes).unwrap(), message);
    }
}

#[test]
fn a_pre_key_message_is_laid_out_as_the_specification_says() {
    let session_keys = SessionKeys { one_time_key: key(2), base_key: key(3), identity_key: key(4) };
    let inner = normal(SessionConfig::V2);
    let message = PreKeyMessage::new(session_keys, inner.clone());
    let bytes = message.to_bytes();
    let expected = [
        &[3, 0x0a, 32][..],
        &[2; 32],
        &[0x12, 32],
        &[3; 32],
        &[0x1a, 32],
        &[4; 32],
        &[0x22, u8::try_from(inner.as_bytes().len()).unwrap()],
        inner.as_bytes(),
    ]
    .concat();
    assert_eq!(bytes, expected);
    assert_eq!(PreKeyMessage::from_bytes(&bytes).unwrap(), message);
    let text = OlmMessage::PreKey(message.clone()).to_base64();
    assert_eq!(OlmMessage::from_base64(0, &text), Ok(OlmMessage::PreKey(message)));
}

/// mautrix-go writes the identity key before the base key; early libolm wrote the index before the ratchet key.
#[test]
fn fields_are_read_in_the_orders_that_other_implementations_write() {
    let inner = normal(SessionConfig::V1);
    let session_keys = SessionKeys { one_time_key: key(2), base_key: key(3), identity_key: key(4) };
    let mut bytes = vec![3];
    for (tag, value) in [(0x0a, &[2; 32][..]), (0x1a, &[4; 32]), (0x12, &[3; 32]), (0x22, inner.as_bytes())] {
        wire::push_string(&mut bytes, tag, value);
    }
    assert_eq!(PreKeyMessage::from_bytes(&bytes).unwrap(), PreKeyMessage::new(session_keys, inner));

    let keys = CipherKeys::derive(&[], b"key", b"");
    let mut bytes = vec![3];
    wire::push_integer(&mut bytes, 0x10, 300);
    wire::push_string(&mut bytes, 0x22, &keys.encrypt(b"plaintext"));
    wire::push_string(&mut bytes, 0x0a, &[1; 32]);
    let mac = keys.mac(&bytes);
    bytes.extend_from_slice(mac.tag(SessionConfig::V1.mac_length()));
    let message = NormalMessage::from_bytes(&bytes).unwrap();
    let (covered, tag) = message.authenticated();
    assert!(keys.mac(covered).matches(tag, SessionConfig::V1.mac_length()));
    assert_eq!(keys.decrypt(message.ciphertext()).unwrap(), b"plaintext");
}

#[test]
fn what_is_no_message_is_refused_with_its_reason() {
    assert_eq!(OlmMessage::from_base64(2, ""), Err(DecodeError::MessageType(2)));
    assert_eq!(OlmMessage::from_base64(1, "*"), Err(DecodeError::Base64(Base64Error::Malformed)));
    for message_type in [MessageType::PreKey, MessageType::Normal] {
        assert_eq!(OlmMessage::from_bytes(message_type, b""), Err(DecodeError::TooShort));
        assert_eq!(OlmMessage::from_bytes(message_type, b"\x05"), Err(DecodeError::Version(5)));
    }
    assert_eq!(NormalMessage::from_bytes(b"\x03"), Err(DecodeError::TooShort));
    assert_eq!(NormalMessage::from_bytes(&[3; 8]), Err(DecodeError::TooShort));
    assert_eq!(NormalMessage::from_bytes(&[3; 9]), Err(DecodeError::Wire(WireError::MissingField { tag: 0x0a })));
    assert_eq!(NormalMessage::from_bytes(&[3; 10]), Err(DecodeError::Wire(WireError::UnknownField { tag: 3 })));
    assert_eq!(PreKeyMessage::from_bytes(b"\x03"), Err(DecodeError::Wire(WireError::MissingField { tag: 0x0a })));
    assert_eq!(PreKeyMessage::from_bytes(b"\x04"), Err(DecodeError::Version(4)), "the envelope is of version 3 always");
}

#[test]
fn a_key_of_another_length_or_spelling_is_refused() {
    let message = |ratchet_key: &[u8]| {
        let mut bytes = vec![3];
        wire::push_string(&mut bytes, 0x0a, ratchet_key);
        wire::push_integer(&mut bytes, 0x10, 0);
        wire::push_string(&mut bytes, 0x22, &[0; 16]);
        bytes.extend_from_slice(&[0; 8]);
        NormalMessage::from_bytes(&bytes)
    };
    assert!(message(&[1; 32]).is_ok());
    assert_eq!(message(&[1; 31]), Err(DecodeError::Key(KeyError::Length { expected: 32, got: 31 })));
    assert_eq!(message(&[0xff; 32]), Err(DecodeError::NonCanonicalKey));
}

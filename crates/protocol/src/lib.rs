//! What endpoints and homeservers need to keep secrets from each other, and from us.
//!
//! **Invariant.** Bytes in, bytes out: no I/O, no clock, no global state; randomness is an argument. Nothing here panics on
//! bytes that somebody else wrote. Secrets are zeroised when dropped, compared in constant time and never printed.
//!
//! # Where to go
//!
//! - [`key`], [`encoding`] and [`cipher`] are what all else is built of: key pairs, base64, AES-CBC under HMAC.
//! - [`olm`] is the double ratchet between two devices, [`megolm`] the ratchet from one device to a group, [`pickle`] their
//!   state at rest.
//! - [`hybrid`] is the double ratchet for devices that both offer it: X25519 and ML-KEM-768 in every turn.
//! - [`bundle`] is what users and devices publish about themselves, over [`canonical`] JSON: a homeserver refuses what is wrongly
//!   signed, a client decides whom to trust. [`sas`] is how two people compare keys.
//! - [`backup`], [`secret_storage`], [`attachment`] and [`key_export`] are what a client leaves with a server or on a disk.
//! - [`envelope`] is what a homeserver sends another through a third that must not read it.
//!
//! `docs/follow-one-message.md` walks one message through the files, `spec/threat-model.md` says what is protected against
//! whom and what is not, `spec/pickles.md`,
//! `spec/sealed-envelope.md` and `spec/hybrid-session.md` lay out our own formats.
//!
//! # How the ratchets are used
//!
//! Bob publishes keys, Alice begins a session with them, and from then on both write and read. The caller keeps three
//! promises: it verifies whose keys it uses, it names sender and recipient inside the plaintext, and it keeps only the
//! latest pickle of a session.
//!
//! ```
//! use protocol::olm::{Account, OlmMessage, SessionConfig};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let mut rng = <rand_chacha::ChaCha20Rng as rand_core::SeedableRng>::seed_from_u64(1);
//!
//! let alice = Account::new(&mut rng);
//! let mut bob = Account::new(&mut rng);
//! let one_time_key = bob.generate_one_time_keys(1, &mut rng).created[0];
//! bob.mark_keys_as_published();
//!
//! // Alice's side: the first messages bring along what Bob needs to create his end.
//! let bobs_key = bob.identity_keys().curve25519;
//! let mut hers = alice.create_outbound_session(SessionConfig::V1, &bobs_key, &one_time_key, &mut rng)?;
//! let sent = hers.encrypt(b"hello", &mut rng)?;
//! let (message_type, body) = (sent.message_type().number(), sent.to_base64());
//!
//! // Bob's side: `type` and `body` of an `m.room.encrypted` event.
//! let OlmMessage::PreKey(first) = OlmMessage::from_base64(message_type, &body)? else { panic!("Alice's first message") };
//! let inbound = bob.create_inbound_session(SessionConfig::V1, &alice.identity_keys().curve25519, &first)?;
//! let mut his = inbound.session;
//! assert_eq!(inbound.plaintext, b"hello");
//!
//! let answer = his.encrypt(b"hello yourself", &mut rng)?;
//! assert_eq!(hers.decrypt(&answer)?, b"hello yourself");
//! # Ok(())
//! # }
//! ```
//!
//! A room gets a [`megolm::GroupSession`] for each device that writes in it, whose [`megolm::SessionKey`] goes over Olm to
//! each device that may read.
//!
//! ```
//! use protocol::megolm::{GroupSession, InboundGroupSession, SessionConfig, SessionKey};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let mut rng = <rand_chacha::ChaCha20Rng as rand_core::SeedableRng>::seed_from_u64(1);
//!
//! let mut writer = GroupSession::new(SessionConfig::V1, &mut rng);
//! let key = SessionKey::from_base64(&writer.session_key().to_base64())?;
//! let mut reader = InboundGroupSession::new(&key, SessionConfig::V1);
//!
//! let message = writer.encrypt(b"to all")?;
//! let read = reader.decrypt(&message)?;
//! // Remember which event had which index: Megolm itself reads a repeated message again.
//! assert_eq!((&read.plaintext[..], read.index), (&b"to all"[..], 0));
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::unreachable)
)]

pub mod attachment;
pub mod backup;
pub mod bundle;
pub mod canonical;
pub mod cipher;
pub mod encoding;
pub mod envelope;
pub mod hybrid;
pub mod key;
pub mod key_export;
pub mod megolm;
pub mod olm;
pub mod pickle;
pub mod sas;
pub mod secret_storage;
mod wire;

pub use wire::WireError;

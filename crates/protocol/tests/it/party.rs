//! One end of an Olm session, ours or vodozemac's, behind one face, so that each test runs with either on each side.
//!
//! Ours draws from a seeded generator. vodozemac asks the operating system and cannot be told otherwise, so a failure with
//! it on one side repeats in its course, though not in its keys.

use protocol::key::Curve25519PublicKey;
use protocol::olm::{Account, OlmMessage, Session, SessionConfig};
use protocol::pickle::PickleKey;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

const PICKLE_KEY: [u8; 32] = [0x17; 32];

/// A seeded generator.
pub(crate) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// A message on its way: type and bytes, as a server sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parcel {
    pub(crate) message_type: u64,
    pub(crate) bytes: Vec<u8>,
}

impl Parcel {
    pub(crate) fn new(message: &OlmMessage) -> Self {
        Self { message_type: message.message_type().number(), bytes: message.to_bytes() }
    }

    pub(crate) fn open(&self) -> OlmMessage {
        OlmMessage::from_bytes(self.message_type.try_into().unwrap(), &self.bytes).unwrap()
    }

    /// The ratchet key and the chain index inside.
    pub(crate) fn place(&self) -> (Curve25519PublicKey, u64) {
        let message = self.open();
        let normal = match &message {
            OlmMessage::PreKey(message) => message.message(),
            OlmMessage::Normal(message) => message,
        };
        (normal.ratchet_key(), normal.chain_index())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Maker {
    Ours,
    Vodozemac,
}

pub(crate) enum Party {
    Ours { session: Box<Session>, rng: Box<ChaCha20Rng> },
    Vodozemac { session: Box<vodozemac::olm::Session> },
}

impl Party {
    pub(crate) fn encrypt(&mut self, plaintext: &[u8]) -> Parcel {
        match self {
            Self::Ours { session, rng } => Parcel::new(&session.encrypt(plaintext, rng.as_mut()).unwrap()),
            Self::Vodozemac { session } => {
                let (message_type, bytes) = session.encrypt(plaintext).unwrap().to_parts();
                Parcel { message_type: message_type as u64, bytes }
            }
        }
    }

    pub(crate) fn decrypt(&mut self, parcel: &Parcel) -> Result<Vec<u8>, String> {
        match self {
            Self::Ours { session, .. } => session.decrypt(&parcel.open()).map_err(|error| error.to_string()),
            Self::Vodozemac { session } => session.decrypt(&their_message(parcel)).map_err(|error| error.to_string()),
        }
    }

    pub(crate) fn session_id(&self) -> String {
        match self {
            Self::Ours { session, .. } => session.session_id(),
            Self::Vodozemac { session } => session.session_id(),
        }
    }

    /// Writes the session down and reads it back.
    pub(crate) fn restart(self) -> Self {
        match self {
            Self::Ours { session, mut rng } => {
                let key = PickleKey::from_bytes(&PICKLE_KEY);
                let pickle = session.pickle(&key, rng.as_mut());
                Self::Ours { session: Box::new(Session::unpickle(&pickle, &key).unwrap()), rng }
            }
            Self::Vodozemac { session } => {
                let pickle = session.pickle().encrypt(&PICKLE_KEY);
                let pickle = vodozemac::olm::SessionPickle::from_encrypted(&pickle, &PICKLE_KEY).unwrap();
                Self::Vodozemac { session: Box::new(vodozemac::olm::Session::from_pickle(pickle)) }
            }
        }
    }
}

fn their_message(parcel: &Parcel) -> vodozemac::olm::OlmMessage {
    let message_type = usize::try_from(parcel.message_type).unwrap();
    vodozemac::olm::OlmMessage::from_parts(message_type, &parcel.bytes).unwrap()
}

pub(crate) fn their_config(config: SessionConfig) -> vodozemac::olm::SessionConfig {
    match config {
        SessionConfig::V1 => vodozemac::olm::SessionConfig::version_1(),
        SessionConfig::V2 => vodozemac::olm::SessionConfig::version_2(),
    }
}

fn their_key(key: Curve25519PublicKey) -> vodozemac::Curve25519PublicKey {
    vodozemac::Curve25519PublicKey::from_bytes(key.to_bytes())
}

fn our_key(key: vodozemac::Curve25519PublicKey) -> Curve25519PublicKey {
    Curve25519PublicKey::from_bytes(key.to_bytes())
}

/// A device before it has a session.
pub(crate) enum Device {
    Ours { account: Box<Account>, rng: Box<ChaCha20Rng> },
    Vodozemac { account: Box<vodozemac::olm::Account> },
}

impl Device {
    pub(crate) fn new(maker: Maker, seed: u64) -> Self {
        match maker {
            Maker::Ours => {
                let mut rng = Box::new(rng(seed));
                Self::Ours { account: Box::new(Account::new(rng.as_mut())), rng }
            }
            Maker::Vodozemac => Self::Vodozemac { account: Box::new(vodozemac::olm::Account::new()) },
        }
    }

    pub(crate) fn identity_key(&self) -> Curve25519PublicKey {
        match self {
            Self::Ours { account, .. } => account.identity_keys().curve25519,
            Self::Vodozemac { account } => our_key(account.curve25519_key()),
        }
    }

    /// A new one-time key.
    pub(crate) fn one_time_key(&mut self) -> Curve25519PublicKey {
        match self {
            Self::Ours { account, rng } => account.generate_one_time_keys(1, rng.as_mut()).created[0],
            Self::Vodozemac { account } => our_key(account.generate_one_time_keys(1).created[0]),
        }
    }

    pub(crate) fn begin(
        mut self,
        config: SessionConfig,
        identity: Curve25519PublicKey,
        one_time: Curve25519PublicKey,
    ) -> Party {
        match &mut self {
            Self::Ours { account, rng } => {
                let session = account.create_outbound_session(config, &identity, &one_time, rng.as_mut()).unwrap();
                Party::Ours { session: Box::new(session), rng: rng.clone() }
            }
            Self::Vodozemac { account } => {
                let (identity, one_time) = (their_key(identity), their_key(one_time));
                let session = account.create_outbound_session(their_config(config), identity, one_time).unwrap();
                Party::Vodozemac { session: Box::new(session) }
            }
        }
    }

    pub(crate) fn accept(
        mut self,
        config: SessionConfig,
        identity: Curve25519PublicKey,
        first: &Parcel,
    ) -> (Party, Vec<u8>) {
        match &mut self {
            Self::Ours { account, rng } => {
                let OlmMessage::PreKey(message) = first.open() else {
                    panic!("the first message is a pre-key message")
                };
                let inbound = account.create_inbound_session(config, &identity, &message).unwrap();
                (Party::Ours { session: Box::new(inbound.session), rng: rng.clone() }, inbound.plaintext)
            }
            Self::Vodozemac { account } => {
                let vodozemac::olm::OlmMessage::PreKey(message) = their_message(first) else {
                    panic!("the first message is a pre-key message")
                };
                let inbound =
                    account.create_inbound_session(their_config(config), their_key(identity), &message).unwrap();
                (Party::Vodozemac { session: Box::new(inbound.session) }, inbound.plaintext)
            }
        }
    }
}

/// Alice and Bob, who has read Alice's first message.
pub(crate) fn pair(alice: Maker, bob: Maker, config: SessionConfig, seed: u64) -> [Party; 2] {
    let (alice, mut bob) = (Device::new(alice, seed), Device::new(bob, seed + 1));
    let alices_identity = alice.identity_key();
    let one_time_key = bob.one_time_key();
    let mut alice = alice.begin(config, bob.identity_key(), one_time_key);
    let first = alice.encrypt(b"first");
    let (bob, plaintext) = bob.accept(config, alices_identity, &first);
    assert_eq!(plaintext, b"first");
    assert_eq!(alice.session_id(), bob.session_id());
    [alice, bob]
}

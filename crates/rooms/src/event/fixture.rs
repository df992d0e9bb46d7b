//! A room to test with: servers with keys that follow from their names, and a state kept by hand, event after event. It
//! knows nothing of storage.

use std::collections::BTreeMap;

use base::{Random, Timestamp};
use ruma::serde::Base64;
use ruma::{CanonicalJsonObject, OwnedRoomId, OwnedServerName, OwnedUserId, ServerName, UserId};
use serde_json::{Value, json};

use crate::event::{
    AuthState, Draft, Judged, KeyRing, Known, Pdu, Place, Reference, RoomVersion, SigningKey, Standing, StateKey,
    VerifiedPdu, VerifyKey, auth_state_keys, authorise, build,
};

/// The one who creates rooms.
pub(crate) const ALICE: &str = "@alice:one";
/// Somebody on another server.
pub(crate) const BOB: &str = "@bob:two";

/// A key that lasts for as long as anybody tests.
pub(crate) const FOREVER: Timestamp = Timestamp(u64::MAX);

/// The signing key of `server`.
pub(crate) fn key(server: &ServerName) -> SigningKey {
    let mut secret = [7; 32];
    secret.iter_mut().zip(server.as_str().bytes()).for_each(|(slot, byte)| *slot = byte);
    SigningKey::new(server.to_owned(), "a", &secret).unwrap()
}

/// The keys of `servers`, valid until `valid_until`.
pub(crate) fn ring(servers: &[&str], valid_until: Timestamp) -> KeyRing {
    let mut ring = KeyRing::new();
    for server in servers {
        let server = OwnedServerName::try_from(*server).unwrap();
        let pair = key(&server);
        ring.add(server, pair.id(), VerifyKey { key: Base64::new(pair.public().to_vec()), valid_until });
    }
    ring
}

/// JSON as a canonical object.
pub(crate) fn object(value: Value) -> CanonicalJsonObject {
    serde_json::from_value(value).unwrap()
}

/// A room and its state.
#[derive(Clone)]
pub(crate) struct Room {
    pub(crate) version: &'static RoomVersion,
    pub(crate) room_id: Option<OwnedRoomId>,
    pub(crate) state: BTreeMap<StateKey, Known>,
    pub(crate) last: Vec<Reference>,
    pub(crate) now: Timestamp,
    random: Random,
}

impl Room {
    /// A public room in which Alice is and has created.
    pub(crate) fn new(version: &'static RoomVersion) -> Self {
        let room_id = (!version.has_hashed_room_id()).then(|| "!room:one".try_into().unwrap());
        let (state, random) = (BTreeMap::new(), Random::seeded(1));
        let mut room = Self { version, room_id, state, last: Vec::new(), now: Timestamp(1_700_000_000_000), random };
        room.set(ALICE, "m.room.create", "", json!({ "room_version": version.id().as_str(), "creator": ALICE }));
        room.set(ALICE, "m.room.member", ALICE, json!({ "membership": "join" }));
        let users = if version.has_hashed_room_id() { json!({}) } else { json!({ ALICE: 100 }) };
        room.set(ALICE, "m.room.power_levels", "", json!({ "users": users }));
        room.set(ALICE, "m.room.join_rules", "", json!({ "join_rule": "public" }));
        room
    }

    /// What `sender` would say.
    pub(crate) fn draft(sender: &str, kind: &str, state_key: Option<&str>, content: Value) -> Draft {
        let sender: OwnedUserId = UserId::parse(sender).unwrap();
        let state_key = state_key.map(str::to_owned);
        Draft { sender, kind: kind.into(), state_key, content: object(content), redacts: None }
    }

    /// Builds and signs, without asking whether it is allowed.
    pub(crate) fn build(&mut self, draft: &Draft) -> VerifiedPdu {
        self.now = Timestamp(self.now.0 + 1_000);
        let key = key(draft.sender.server_name());
        let place = |auth_events| Place {
            version: self.version,
            room_id: if draft.kind.to_string() == "m.room.create" && self.version.has_hashed_room_id() {
                None
            } else {
                self.room_id.clone()
            },
            prev_events: self.last.clone(),
            auth_events,
            at: self.now,
        };
        // What it leans on depends on what it says, so it is built twice.
        let first = build(draft.clone(), place(Vec::new()), &key, &self.random).unwrap();
        let hidden = self.version.has_hashed_room_id();
        let leans_on = auth_state_keys(first.pdu()).unwrap().into_iter().filter_map(|key| self.state.get(&key));
        let named = leans_on.filter(|known| !(hidden && known.pdu.is_create()));
        let auth_events = named.map(|known| known.pdu.reference().unwrap()).collect();
        build(draft.clone(), place(auth_events), &key, &self.random).unwrap()
    }

    /// The room's state.
    pub(crate) fn auth_state(&self) -> AuthState {
        AuthState::new(self.state.values().cloned())
    }

    /// Judges an event by the room's state, before and now alike.
    pub(crate) fn judge(&self, event: VerifiedPdu) -> Judged {
        authorise(event, &self.auth_state(), &self.auth_state(), &self.auth_state())
    }

    /// Builds, judges and takes an event that must be allowed.
    pub(crate) fn say(&mut self, draft: &Draft) -> Known {
        let event = self.build(draft);
        let pdu = event.pdu().clone();
        match self.judge(event) {
            Judged::Authorised(event) => assert_eq!(event.soft_failed(), None, "{pdu:?}"),
            other => panic!("{pdu:?}: {other:?}"),
        }
        self.take(&pdu)
    }

    /// Takes an event into graph and state.
    pub(crate) fn take(&mut self, pdu: &Pdu) -> Known {
        let known = Known { pdu: pdu.clone(), standing: Standing::Accepted };
        self.room_id = Some(pdu.room_id().to_owned());
        self.last = vec![pdu.reference().unwrap()];
        if let Some(key) = pdu.filed_under() {
            self.state.insert(key, known.clone());
        }
        known
    }

    /// Says a state event.
    pub(crate) fn set(&mut self, sender: &str, kind: &str, key: &str, content: Value) -> Known {
        self.say(&Self::draft(sender, kind, Some(key), content))
    }

    /// Says a message.
    pub(crate) fn message(&mut self, sender: &str, body: &str) -> Known {
        self.say(&Self::draft(sender, "m.room.message", None, json!({ "msgtype": "m.text", "body": body })))
    }
}

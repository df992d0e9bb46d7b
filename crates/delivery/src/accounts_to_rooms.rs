//! What becomes of accounts is told to the rooms where their users are: a new name or picture is shown in them
//! (<https://spec.matrix.org/v1.19/client-server-api/#events-on-change-of-profile-information>), and who was deactivated leaves
//! (<https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3accountdeactivate>).
//!
//! `accounts` and `rooms` do not know each other, so this reader of the log stands between them. It does what is true when it
//! looks, not what an entry says, so seeing an entry twice, or late, does no harm.

use std::collections::BTreeMap;
use std::sync::Arc;

use accounts::profile::{AVATAR_URL, DISPLAY_NAME};
use accounts::{ACCOUNT_CHANGED, AccountChange, AccountLog, Accounts, PROFILE_CHANGED, ProfileLog};
use async_trait::async_trait;
use base::shutdown::Shutdown;
use base::{Partition, Position, task};
use rooms::Rooms;
use rooms::act::{Change, MembershipChange, Profile};
use rooms::append::rooms_of_user;
use rooms::graph::head_of;
use ruma::{OwnedUserId, UserId};
use storage::reader::{Handler, HandlerError, Reader, ReaderOptions};
use storage::{LogEntry, Record, Store};

/// The name under which the cursors are stored.
const NAME: &str = "accounts_to_rooms";

/// Starts the readers, one for each partition of the log, until `stop`. `holder` is who this process is, when several share
/// the store.
pub fn start(store: &Arc<Store>, accounts: &Arc<Accounts>, rooms: &Arc<Rooms>, holder: Option<&str>, stop: &Shutdown) {
    for partition in (0..store.engine().partitions()).map(Partition) {
        let mut options = ReaderOptions::new(NAME, partition);
        options.filter = Arc::new(|entry| [PROFILE_CHANGED, ACCOUNT_CHANGED].contains(&entry.kind));
        options.holder = holder.map(ToOwned::to_owned);
        let handler = TellRooms { accounts: Arc::clone(accounts), rooms: Arc::clone(rooms) };
        let (reader, _) = Reader::new(Arc::clone(store), options, handler);
        task::spawn(reader.run(stop.clone()));
    }
}

/// What is to be done for a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Work {
    ShowProfile,
    LeaveRooms,
}

struct TellRooms {
    accounts: Arc<Accounts>,
    rooms: Arc<Rooms>,
}

#[async_trait]
impl Handler for TellRooms {
    async fn handle(&mut self, entries: &[LogEntry]) -> Result<(), HandlerError> {
        for ((user, work), position) in work(entries)? {
            let outcome = match work {
                Work::ShowProfile => self.show_profile(&user).await,
                Work::LeaveRooms => self.leave_rooms(&user).await,
            };
            outcome.map_err(|failure| failure.at(position))?;
        }
        Ok(())
    }
}

/// What `entries` ask for, each thing once, at the position where it was first asked for.
fn work(entries: &[LogEntry]) -> Result<BTreeMap<(OwnedUserId, Work), Position>, HandlerError> {
    let mut asked = BTreeMap::new();
    for entry in entries {
        let unreadable =
            |error: storage::RecordError| HandlerError::Entry { position: entry.position, reason: error.to_string() };
        if entry.kind == PROFILE_CHANGED {
            let log = ProfileLog::decode(&entry.payload).map_err(unreadable)?;
            if [DISPLAY_NAME, AVATAR_URL].contains(&log.field.as_str()) {
                asked.entry((log.user, Work::ShowProfile)).or_insert(entry.position);
            }
        } else if entry.kind == ACCOUNT_CHANGED {
            let log = AccountLog::decode(&entry.payload).map_err(unreadable)?;
            if log.change == AccountChange::Deactivated {
                asked.entry((log.user, Work::LeaveRooms)).or_insert(entry.position);
            }
        }
    }
    Ok(asked)
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Accounts(#[from] accounts::Error),
    #[error(transparent)]
    Rooms(#[from] rooms::Error),
}

impl Failure {
    fn at(&self, position: Position) -> HandlerError {
        let is_unavailable = match self {
            Self::Accounts(error) => error.is_unavailable(),
            Self::Rooms(error) => error.is_unavailable(),
        };
        let reason = self.to_string();
        if is_unavailable { HandlerError::Unavailable { reason } } else { HandlerError::Entry { position, reason } }
    }
}

impl TellRooms {
    async fn show_profile(&self, user: &UserId) -> Result<(), Failure> {
        let Some(profile) = self.accounts.profile(user).await? else { return Ok(()) };
        let profile = Profile { displayname: profile.display_name(), avatar_url: profile.avatar_url() };
        Ok(self.rooms.update_profile(user, &profile).await?)
    }

    async fn leave_rooms(&self, user: &UserId) -> Result<(), Failure> {
        // The server may have ended before all that the account had was removed.
        self.accounts.finish_deactivation(user).await?;
        for there in rooms_of_user(self.rooms.store(), user).await? {
            if !["join", "invite", "knock"].contains(&there.membership.as_str()) {
                continue;
            }
            let Some((head, _)) = head_of(self.rooms.store(), there.room).await? else { continue };
            let change = MembershipChange::new(user.to_owned(), user.to_owned(), Change::Leave);
            match self.rooms.set_membership(&head.room_id, &change).await {
                Err(rooms::Error::Refused(refusal)) => tracing::warn!(%refusal, "a deactivated user stays in a room"),
                outcome => drop(outcome?),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use accounts::{AccountsOptions, Erase, NewAccount};
    use base::{Clock, Random, Timestamp, shutdown};
    use rooms::act::NewRoom;
    use rooms::{EncryptionPolicy, RoomsOptions};
    use ruma::api::client::room::create_room::v3::{Request, RoomPreset};
    use ruma::{RoomId, RoomVersionId, server_name};
    use serde_json::value::to_raw_value;
    use storage::{EngineChoice, MemoryDisk, StoreOptions};

    use super::*;

    struct House {
        store: Arc<Store>,
        accounts: Arc<Accounts>,
        rooms: Arc<Rooms>,
    }

    async fn house() -> House {
        let mut options = StoreOptions::new("", EngineChoice::Memory { disk: MemoryDisk::ephemeral() });
        options.clock = Clock::simulated(Timestamp(1_700_000_000_000));
        options.random = Random::seeded(1);
        let store = Arc::new(Store::open(options).await.unwrap());
        let server = server_name!("example.org").to_owned();
        let accounts = Accounts::new(Arc::clone(&store), AccountsOptions::for_tests(server.clone()));
        let (default_version, encryption) = (RoomVersionId::V11, EncryptionPolicy::Optional);
        let options = RoomsOptions { server, default_version, encryption };
        let rooms = Rooms::open(Arc::clone(&store), options).await.unwrap();
        House { store, accounts, rooms }
    }

    impl House {
        async fn user(&self, name: &str) -> OwnedUserId {
            let new = NewAccount { username: Some(name.to_owned()), ..NewAccount::default() };
            self.accounts.register(new).await.unwrap().user_id
        }

        async fn room(&self, maker: &UserId) -> ruma::OwnedRoomId {
            let mut request = Request::new();
            request.preset = Some(RoomPreset::PublicChat);
            self.rooms.create(&NewRoom::new(maker.to_owned(), request)).await.unwrap()
        }

        async fn join(&self, room: &RoomId, user: &UserId) {
            let join = MembershipChange::new(user.to_owned(), user.to_owned(), Change::Join);
            self.rooms.set_membership(room, &join).await.unwrap();
        }

        /// Runs the readers until they have nothing to do.
        async fn tell(&self) {
            let (trigger, stop) = shutdown::channel();
            start(&self.store, &self.accounts, &self.rooms, None, &stop);
            self.store.clock().sleep(std::time::Duration::from_secs(5)).await;
            trigger.start();
            self.store.clock().sleep(std::time::Duration::from_secs(1)).await;
        }

        async fn name(&self, user: &UserId, name: &str) {
            let name = to_raw_value(name).unwrap();
            self.accounts.set_profile_field(user, DISPLAY_NAME, &name).await.unwrap();
        }

        async fn members(&self, room: &RoomId) -> Vec<(String, Option<String>)> {
            let number = self.rooms.number_of(room).await.unwrap();
            let mut told = Vec::new();
            for member in rooms::append::members(&self.store, number).await.unwrap() {
                let graph = rooms::graph::Graph::new(
                    &self.store,
                    number,
                    rooms::event::RoomVersion::of(&RoomVersionId::V11).unwrap(),
                );
                let event = graph.events(&[member.event]).await.unwrap().remove(0).unwrap();
                let content: serde_json::Value = serde_json::from_str(event.pdu.content().get()).unwrap();
                let name = content["displayname"].as_str().map(ToOwned::to_owned);
                told.push((format!("{} {}", member.user.localpart(), member.membership), name));
            }
            told.sort();
            told
        }
    }

    fn member(what: &str, name: Option<&str>) -> (String, Option<String>) {
        (what.to_owned(), name.map(ToOwned::to_owned))
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_name_is_shown_in_every_room_where_the_user_is() {
        let house = house().await;
        let (alice, bob) = (house.user("alice").await, house.user("bob").await);
        let (one, other) = (house.room(&alice).await, house.room(&bob).await);
        house.join(&other, &alice).await;
        house.name(&alice, "Wonder").await;
        house.name(&alice, "Alice").await;
        house.tell().await;
        assert_eq!(house.members(&one).await, [member("alice join", Some("Alice"))]);
        assert_eq!(house.members(&other).await, [member("alice join", Some("Alice")), member("bob join", None)]);
        house.name(&alice, "").await;
        house.tell().await;
        assert_eq!(house.members(&one).await, [member("alice join", None)]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_deactivated_leaves_all_rooms() {
        let house = house().await;
        let (alice, bob) = (house.user("alice").await, house.user("bob").await);
        let (one, other) = (house.room(&bob).await, house.room(&bob).await);
        house.join(&one, &alice).await;
        let invite = MembershipChange::new(bob.clone(), alice.clone(), Change::Invite);
        house.rooms.set_membership(&other, &invite).await.unwrap();
        house.accounts.deactivate(&alice, Erase::No).await.unwrap();
        house.tell().await;
        for room in [&one, &other] {
            assert_eq!(house.members(room).await, [member("alice leave", None), member("bob join", None)]);
        }
    }

    #[tokio::test]
    async fn an_entry_that_cannot_be_read_is_named() {
        let entry = LogEntry {
            partition: Partition(0),
            position: Position(7),
            kind: PROFILE_CHANGED,
            payload: vec![99, 1].into(),
        };
        assert!(matches!(work(&[entry]), Err(HandlerError::Entry { position: Position(7), .. })));
    }
}

//! The log, followed: one task for each partition reads what was committed, remembers in bounded memory when something last
//! happened to each room and user, and rings the bells of exactly those users whom it concerns.
//!
//! Nothing is written, nothing is computed for anybody, and nobody is asked whether they want to know: who waits listens.
//!
//! Where to go: `entry` reads log entries, `latest` and `index` remember, `members` knows whose bells a room rings, `bells`
//! has them.

mod bells;
mod entry;
mod index;
mod latest;
mod members;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use accounts::Accounts;
use accounts::account_data::AccountDataLog;
use accounts::keys::KeyChange;
use accounts::to_device::ToDeviceLog;
use base::backoff::Backoff;
use base::shutdown::Shutdown;
use base::{Partition, Position, Positions, limits, task};
use rooms::act::ForgottenLog;
use rooms::append::{LogRecord, rooms_of_user};
use rooms::event::RoomVersion;
use rooms::graph::{Graph, head_of};
use rooms::notice::{ReceiptKind, ReceiptLog};
use rooms::state::{Difference, Nodes, StateRoot, load};
use rooms::timeline::{self, Order};
use rooms::{KeyNumber, RoomNumber, Rooms};
use ruma::{OwnedUserId, UserId};
use serde::Deserialize;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};

use crate::error::Error;
use entry::Entry;
use members::{Joined, Members};

pub(crate) use bells::{Bells, Interest, Ring};
pub(crate) use index::{Index, RoomStream, UserStream};
pub(crate) use latest::Moved;

/// Stands for a user in what the follower remembers: the first half of the hash under which the user's rows are filed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct UserKey(pub(crate) [u8; 16]);

impl UserKey {
    /// The key of `user`.
    pub(crate) fn of(user: &UserId) -> Self {
        Self::of_digest(&accounts::user::digest(user))
    }

    /// The key of the user with this digest.
    pub(crate) fn of_digest(digest: &[u8; 32]) -> Self {
        Self(digest.first_chunk().copied().unwrap_or_default())
    }
}

impl fmt::Debug for UserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserKey(…)")
    }
}

/// What the follower knows, and who listens to it.
pub(crate) struct Follower {
    rooms: Arc<Rooms>,
    accounts: Arc<Accounts>,
    // A mutex: it is held for a look-up or a note, and never across an await.
    index: Mutex<Index>,
    members: Members,
    bells: Arc<Bells>,
    /// How far each partition has been followed.
    seen: watch::Sender<Positions>,
}

impl Follower {
    /// A follower of the log from where it ends now.
    ///
    /// # Errors
    /// When the store is closed.
    pub(crate) fn new(rooms: Arc<Rooms>, accounts: Arc<Accounts>) -> Result<Self, Error> {
        let heads = heads(&rooms)?;
        let index = Mutex::new(Index::new(heads.as_slice()));
        let seen = watch::Sender::new(heads);
        Ok(Self { rooms, accounts, index, members: Members::default(), bells: Arc::default(), seen })
    }

    /// The bells.
    pub(crate) fn bells(&self) -> &Arc<Bells> {
        &self.bells
    }

    /// Asks what is remembered.
    pub(crate) fn ask<T>(&self, question: impl FnOnce(&mut Index) -> T) -> T {
        question(&mut self.index.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How far the log has been followed, when all that was acknowledged before this call is behind it.
    ///
    /// # Errors
    /// When the store is closed.
    pub(crate) async fn up_to_date(&self) -> Result<Positions, Error> {
        let heads = heads(&self.rooms)?;
        if self.seen.borrow().covers(&heads) {
            return Ok(self.seen.borrow().clone());
        }
        let mut seen = self.seen.subscribe();
        let seen = seen.wait_for(|seen| seen.covers(&heads)).await;
        seen.map(|seen| seen.clone()).map_err(|_| Error::Interrupted)
    }

    /// Follows all partitions, and what is not in the log, until `stopped`.
    pub(crate) fn start(self: &Arc<Self>, stopped: &Shutdown) -> Vec<tokio::task::JoinHandle<()>> {
        let partitions = self.rooms.store().engine().partitions();
        let follow = |partition| {
            let (follower, mut stop) = (Arc::clone(self), stopped.clone());
            task::spawn(async move {
                tokio::select! {
                    () = stop.started() => {}
                    () = follower.follow(partition) => {}
                }
            })
        };
        let mut tasks: Vec<_> = (0..partitions).map(Partition).map(follow).collect();
        let (follower, mut stop) = (Arc::clone(self), stopped.clone());
        // Subscribed to before anybody can miss it.
        let changes = self.rooms.typing().changes();
        tasks.push(task::spawn(async move {
            tokio::select! {
                () = stop.started() => {}
                () = follower.follow_typing(changes) => {}
            }
        }));
        let (follower, mut stop) = (Arc::clone(self), stopped.clone());
        tasks.push(task::spawn(async move {
            tokio::select! {
                () = stop.started() => {}
                () = follower.follow_presence() => {}
            }
        }));
        tasks
    }

    /// Rings for who types, until the process ends.
    async fn follow_typing(&self, mut changes: broadcast::Receiver<RoomNumber>) {
        loop {
            let rooms = match changes.recv().await {
                Ok(room) => vec![room],
                // What was missed is told with whatever the client is woken for next; typing is over in seconds.
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return,
            };
            let rooms = rooms.into_iter().map(|room| (room, Ring::Typing)).collect();
            if let Err(error) = self.ring(Rings { rooms, ..Rings::default() }).await {
                tracing::error!(%error, "nobody was told who types");
            }
        }
    }

    /// Rings for whose presence changes, until the process ends.
    async fn follow_presence(&self) {
        let presence = self.accounts.presence();
        let mut versions = presence.watch();
        let mut seen = presence.version();
        while versions.wait_for(|version| *version > seen).await.is_ok() {
            let now = presence.version();
            let changed = presence.since(seen).into_iter().map(|(user, _)| user);
            let friends: Vec<_> = changed.map(|user| (user, Ring::Presence)).collect();
            seen = now;
            let users = friends.iter().map(|(user, ring)| (UserKey::of(user), *ring)).collect();
            if let Err(error) = self.ring(Rings { users, friends, ..Rings::default() }).await {
                tracing::error!(%error, "nobody was told who is here");
            }
        }
    }

    /// Follows one partition until the store is closed.
    async fn follow(&self, partition: Partition) {
        let store = self.rooms.store();
        let Ok(mut watch) = store.watch(partition) else { return };
        let backoff = Backoff { first: limits::READER_RETRY_FIRST, most: limits::READER_RETRY_MOST };
        let mut seen = self.seen.borrow().of(partition);
        let mut failures = 0;
        loop {
            let Ok(head) = watch.after(seen).await else { return };
            match self.take(partition, seen, head).await {
                Ok(last) => {
                    seen = last;
                    failures = 0;
                    self.seen.send_modify(|positions| positions.set(partition, last));
                }
                Err(error) => {
                    failures += 1;
                    tracing::error!(%partition, position = %seen.next(), %error, "following the log failed; trying again");
                    store.clock().sleep(backoff.wait(failures, store.random())).await;
                }
            }
        }
    }

    /// Takes the next entries, and says which was the last.
    async fn take(&self, partition: Partition, after: Position, head: Position) -> Result<Position, Error> {
        let store = self.rooms.store();
        let entries = store.log_entries(partition, after, head, limits::READER_BATCH_ENTRIES).await;
        let entries = entries.map_err(Error::storage("following the log"))?;
        let last = entries.last().map_or(head, |entry| entry.position);
        let mut events = Vec::new();
        let mut rings = Rings::default();
        for entry in &entries {
            match Entry::read(entry) {
                Ok(Entry::Event(record)) => events.push((entry.position, record)),
                Ok(other) => self.take_other(partition, entry.position, &other, &mut rings),
                // Skipped, because nobody can ever read it: whoever it concerns finds what it was about when next asking.
                Err(error) => tracing::error!(%error, "an entry of the log cannot be read"),
            }
        }
        self.take_events(partition, &events, &mut rings).await?;
        self.ring(rings).await?;
        Ok(last)
    }

    /// Notes what is no event.
    fn take_other(&self, partition: Partition, position: Position, entry: &Entry, rings: &mut Rings) {
        match entry {
            Entry::Receipt(ReceiptLog { room, user, kind }) => {
                self.ask(|index| index.note_room(RoomStream::Receipts, partition, *room, position));
                match kind {
                    ReceiptKind::Read => rings.rooms.push((*room, Ring::Receipt)),
                    ReceiptKind::Private => rings.users.push((UserKey::of(user), Ring::Receipt)),
                }
            }
            Entry::Forgotten(ForgottenLog { user, .. }) => {
                self.ask(|index| index.note_other_memberships(UserKey::of(user)));
            }
            Entry::AccountData(AccountDataLog { user, .. }) => {
                let user = UserKey::of(user);
                self.ask(|index| index.note_user(UserStream::AccountData, partition, user, position));
                rings.users.push((user, Ring::AccountData));
            }
            Entry::ToDevice(ToDeviceLog { user, .. }) => {
                let user = UserKey::of(user);
                self.ask(|index| index.note_user(UserStream::ToDevice, partition, user, position));
                rings.users.push((user, Ring::ToDevice));
            }
            Entry::Keys(change) => {
                rings.users.push((UserKey::of(change.user()), Ring::Devices));
                if let KeyChange::Devices(user) = change {
                    rings.friends.push((user.clone(), Ring::Devices));
                }
            }
            Entry::Event(_) | Entry::Other => {}
        }
    }

    /// Notes accepted events, and what they change of who is in the rooms.
    async fn take_events(
        &self,
        partition: Partition,
        events: &[(Position, LogRecord)],
        rings: &mut Rings,
    ) -> Result<(), Error> {
        let store = self.rooms.store();
        let places: Vec<_> = events.iter().map(|(position, record)| (record.room, Order::Live(*position))).collect();
        let shown = timeline::entries_at(store, &places).await?;
        for ((position, LogRecord { room, .. }), entry) in events.iter().zip(shown) {
            // A room that was purged since has no timeline any more.
            let Some(entry) = entry else { continue };
            let before = match self.ask(|index| index.root(partition, *room)) {
                Some(root) => root,
                None => state_before(&self.rooms, *room, *position).await?,
            };
            if before != entry.state {
                self.ask(|index| index.note_room(RoomStream::State, partition, *room, *position));
                for change in membership_changes(&self.rooms, *room, [before, entry.state]).await? {
                    self.note_member(partition, *position, *room, &change);
                    rings.users.push((UserKey::of(&change.user), Ring::Room));
                }
            }
            self.ask(|index| {
                index.note_root(partition, *room, entry.state);
                index.note_room(RoomStream::Events, partition, *room, *position);
            });
            rings.rooms.push((*room, Ring::Room));
        }
        Ok(())
    }

    fn note_member(&self, partition: Partition, position: Position, room: RoomNumber, change: &MemberChange) {
        let user = UserKey::of(&change.user);
        let local = change.user.server_name() == self.rooms.server();
        match change.after.as_deref() {
            Some("join") if local => self.members.note(room, user, Joined::Now),
            _ => self.members.note(room, user, Joined::NoMore),
        }
        if local {
            self.ask(|index| index.note_membership(partition, user, room, position));
        }
    }

    /// Rings for what happened.
    async fn ring(&self, rings: Rings) -> Result<(), Error> {
        if self.bells.is_empty() {
            return Ok(());
        }
        let Rings { mut rooms, mut users, friends } = rings;
        for (user, ring) in friends {
            let theirs = rooms_of_user(self.rooms.store(), &user).await?;
            let joined = theirs.into_iter().filter(|room| room.membership == "join");
            rooms.extend(joined.map(|joined| (joined.room, ring)));
        }
        rooms.sort_unstable_by_key(|(room, ring)| (*room, *ring as u8));
        rooms.dedup();
        for (room, ring) in rooms {
            let members = self.members.of(&self.rooms, room).await?;
            users.extend(self.bells.listening(&members).into_iter().map(|user| (user, ring)));
        }
        users.sort_unstable_by_key(|(user, ring)| (*user, *ring as u8));
        users.dedup();
        for (user, ring) in users {
            self.bells.ring(&user, ring);
        }
        Ok(())
    }
}

/// Whom to ring for.
#[derive(Debug, Default)]
struct Rings {
    rooms: Vec<(RoomNumber, Ring)>,
    users: Vec<(UserKey, Ring)>,
    /// Users whose rooms' members are meant.
    friends: Vec<(OwnedUserId, Ring)>,
}

/// The last acknowledged position of every partition.
pub(crate) fn heads(rooms: &Rooms) -> Result<Positions, Error> {
    let store = rooms.store();
    let head = |partition| Ok(store.watch(Partition(partition)).map_err(Error::storage("asking for heads"))?.head());
    let heads: Result<Vec<Position>, Error> = (0..store.engine().partitions()).map(head).collect();
    heads.map(Positions::new)
}

async fn state_before(rooms: &Rooms, room: RoomNumber, position: Position) -> Result<StateRoot, Error> {
    let before = Order::Live(Position(position.0.saturating_sub(1)));
    let entry = timeline::last_until(rooms.store(), room, before).await?;
    Ok(entry.map_or(StateRoot::EMPTY, |entry| entry.state))
}

/// A user whose membership of a room is another one now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MemberChange {
    pub(crate) user: OwnedUserId,
    /// What it was; `None` where there was none.
    pub(crate) before: Option<String>,
    /// What it is; `None` where there is none any more.
    pub(crate) after: Option<String>,
}

#[derive(Deserialize)]
struct Content {
    membership: String,
}

/// Whose membership events two states of a room differ by.
pub(crate) async fn membership_changes(
    rooms: &Rooms,
    room: RoomNumber,
    [before, after]: [StateRoot; 2],
) -> Result<Vec<MemberChange>, Error> {
    let store = rooms.store();
    let mut nodes = Nodes::new(room);
    let differences = |nodes: &mut Nodes| nodes.differences(before, after, KeyNumber(0), usize::MAX);
    let differences: Vec<Difference> = load(store, &mut nodes, differences).await?;
    let Some((head, _)) = head_of(store, room).await? else { return Ok(Vec::new()) };
    let graph = Graph::new(store, room, RoomVersion::of(&head.version).map_err(rooms::Error::from)?);
    let keys: Vec<KeyNumber> = differences.iter().map(|difference| difference.key).collect();
    let names = graph.key_names(&keys).await?;
    let mut members = Vec::new();
    for difference in differences {
        let Some(name) = names.get(&difference.key).filter(|name| name.kind.to_string() == "m.room.member") else {
            continue;
        };
        if let Ok(user) = UserId::parse(&name.key) {
            members.push((user, difference));
        }
    }
    let sides = members.iter().flat_map(|(_, difference)| [difference.before, difference.after]);
    let events: Vec<_> = sides.flatten().collect();
    let known = graph.events(&events).await?;
    let mut memberships = std::collections::BTreeMap::new();
    for (event, known) in events.into_iter().zip(known) {
        let content = known.and_then(|known| serde_json::from_str::<Content>(known.pdu.content().get()).ok());
        memberships.insert(event, content.map(|content| content.membership));
    }
    let membership = |event: Option<_>| event.and_then(|event| memberships.get(&event).cloned().flatten());
    let change = |(user, difference): (OwnedUserId, Difference)| MemberChange {
        user,
        before: membership(difference.before),
        after: membership(difference.after),
    };
    Ok(members.into_iter().map(change).collect())
}

//! Who is in which room, by the rooms' states now: an index that is written with every change of these, so that neither the
//! members of a room nor the rooms of a user are ever looked for in states.

use base::limits;
use ruma::{OwnedUserId, UserId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use storage::table::{ROOM_MEMBER, USER_ROOM};
use storage::{Batch, Direction, Key, KeyRange, NoPrevious, Record, Store};

use crate::error::Error;
use crate::graph::Graph;
use crate::number::{EventNumber, KeyNumber, RoomNumber};
use crate::state::{Nodes, StateRoot, load};

/// One user's membership of one room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The room.
    pub room: RoomNumber,
    /// The user.
    pub user: OwnedUserId,
    /// `join`, `invite`, `knock`, `leave` or `ban`.
    pub membership: String,
    /// The event that says so.
    pub event: EventNumber,
}

impl Record for Membership {
    const VERSION: u8 = 1;
    type Previous = NoPrevious;

    fn migrate(previous: NoPrevious) -> Self {
        match previous {}
    }
}

#[derive(Deserialize)]
struct Content {
    membership: String,
}

fn digest(user: &str) -> [u8; 32] {
    Sha256::digest(user).into()
}

/// What the memberships of `users` in `room` are, in their order.
///
/// # Errors
/// As every read.
pub async fn memberships(store: &Store, room: RoomNumber, users: &[&UserId]) -> Result<Vec<Option<Membership>>, Error> {
    let keys: Vec<Key> = users.iter().map(|user| Key::of(ROOM_MEMBER, &(room, digest(user.as_str())))).collect();
    let rows = store.engine().get_many(&keys).await.map_err(Error::storage("reading memberships"))?;
    let decode =
        |value: &[u8]| Membership::decode(value).map_err(|error| Error::damaged(format!("a membership: {error}")));
    rows.into_iter().map(|row| row.map(|row| decode(&row.value)).transpose()).collect()
}

/// Those who are or were in `room`, in no order that means anything.
///
/// # Errors
/// As every read.
pub async fn members(store: &Store, room: RoomNumber) -> Result<Vec<Membership>, Error> {
    read(store, KeyRange::prefix(ROOM_MEMBER, &room)).await
}

/// The rooms where `user` is or was.
///
/// # Errors
/// As every read.
pub async fn rooms_of_user(store: &Store, user: &UserId) -> Result<Vec<Membership>, Error> {
    read(store, KeyRange::prefix(USER_ROOM, &digest(user.as_str()))).await
}

async fn read(store: &Store, mut range: KeyRange) -> Result<Vec<Membership>, Error> {
    let mut found = Vec::new();
    loop {
        let page = store.scan(&range, Direction::Forward, limits::SCAN_ROWS).await;
        let page = page.map_err(Error::storage("reading memberships"))?;
        for row in page.rows {
            let membership = Membership::decode(&row.value);
            found.push(membership.map_err(|error| Error::damaged(format!("a membership: {error}")))?);
        }
        match page.rest {
            Some(rest) => range = rest,
            None => return Ok(found),
        }
    }
}

/// Writes what has changed between the room's state before and now.
pub(super) async fn put_changes(
    batch: &mut Batch,
    graph: &Graph<'_>,
    nodes: &mut Nodes,
    [before, now]: [StateRoot; 2],
) -> Result<(), Error> {
    let changed = load(graph.store(), nodes, |nodes| nodes.differences(before, now, KeyNumber(0), usize::MAX)).await?;
    let keys: Vec<KeyNumber> = changed.iter().map(|change| change.key).collect();
    let names = graph.key_names(&keys).await?;
    for change in changed {
        let Some(name) = names.get(&change.key).filter(|name| name.kind.to_string() == "m.room.member") else {
            continue;
        };
        // A state key that is no user id names nobody.
        let Ok(user) = UserId::parse(&name.key) else { continue };
        let (room, user_digest) = (graph.room(), digest(user.as_str()));
        let keys = [Key::of(ROOM_MEMBER, &(room, user_digest)), Key::of(USER_ROOM, &(user_digest, room))];
        let Some(event) = change.after else {
            keys.iter().for_each(|key| batch.delete(key));
            continue;
        };
        let known = graph.events(&[event]).await?.into_iter().flatten().next();
        let known = known.ok_or_else(|| Error::damaged(format!("{event:?} is in a state and not there")))?;
        let content: Content = serde_json::from_str(known.pdu.content().get())
            .map_err(|error| Error::damaged(format!("the content of a member event: {error}")))?;
        let record = Membership { room, user: user.clone(), membership: content.membership, event };
        keys.iter().for_each(|key| batch.put_record(key, &record));
    }
    Ok(())
}

//! Who is in which room, by the rooms' states now: an index that is written with every change of these, so that neither the
//! members of a room nor the rooms of a user are ever looked for in states.

use base::limits;
use ruma::events::StateEventType;
use ruma::{OwnedUserId, ServerName, UserId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use storage::table::{ROOM_MEMBER, USER_ROOM};
use storage::{Batch, Direction, Key, KeyRange, Record, Row, Store};

use crate::act::may_forget;
use crate::append::changes::{self, Changed};
use crate::error::Error;
use crate::event::Known;
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
    /// The event by which the user ceased to be joined, the last time they did.
    pub left: Option<EventNumber>,
}

/// A membership as it was stored before it was known when who left did.
#[derive(Debug, Serialize, Deserialize)]
pub struct MembershipV1 {
    room: RoomNumber,
    user: OwnedUserId,
    membership: String,
    event: EventNumber,
}

storage::first_version!(MembershipV1);

impl Record for Membership {
    const VERSION: u8 = 2;
    type Previous = MembershipV1;

    fn migrate(previous: MembershipV1) -> Self {
        let MembershipV1 { room, user, membership, event } = previous;
        Self { room, user, membership, event, left: None }
    }
}

#[derive(Deserialize)]
struct Content {
    membership: String,
}

const JOIN: &str = "join";

/// The part of a key that stands for `user`.
pub(crate) fn user_digest(user: &UserId) -> [u8; 32] {
    Sha256::digest(user.as_str()).into()
}

fn user_key(user: [u8; 32], room: RoomNumber) -> Key {
    Key::of(USER_ROOM, &(user, room))
}

fn member_key(room: RoomNumber, user: [u8; 32]) -> Key {
    Key::of(ROOM_MEMBER, &(room, user))
}

/// What the memberships of `users` in `room` are, in their order.
///
/// # Errors
/// As every read.
pub async fn memberships(store: &Store, room: RoomNumber, users: &[&UserId]) -> Result<Vec<Option<Membership>>, Error> {
    let keys: Vec<Key> = users.iter().map(|user| member_key(room, user_digest(user))).collect();
    let rows = store.engine().get_many(&keys).await.map_err(Error::storage("reading memberships"))?;
    rows.into_iter().map(|row| row.map(|row| decode(&row.value)).transpose()).collect()
}

fn decode(value: &[u8]) -> Result<Membership, Error> {
    Membership::decode(value).map_err(|error| Error::damaged(format!("a membership: {error}")))
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
    read(store, KeyRange::prefix(USER_ROOM, &user_digest(user))).await
}

async fn read(store: &Store, mut range: KeyRange) -> Result<Vec<Membership>, Error> {
    let mut found = Vec::new();
    loop {
        let page = store.scan(&range, Direction::Forward, limits::SCAN_ROWS).await;
        let page = page.map_err(Error::storage("reading memberships"))?;
        for row in page.rows {
            found.push(decode(&row.value)?);
        }
        match page.rest {
            Some(rest) => range = rest,
            None => return Ok(found),
        }
    }
}

/// What makes `user` forget `room`, which they left: it is none of their rooms any more, and as if they had never been in
/// it. `None` when there is nothing to forget.
///
/// # Errors
/// [`Refusal::StillThere`](crate::Refusal::StillThere); as every read.
pub(crate) async fn forget_membership(store: &Store, room: RoomNumber, user: &UserId) -> Result<Option<Batch>, Error> {
    let digest = user_digest(user);
    let keys = [member_key(room, digest), user_key(digest, room)];
    let rows = store.engine().get_many(&keys).await.map_err(Error::storage("reading a membership"))?;
    let [Some(member), Some(_)] = rows.as_slice() else { return Ok(None) };
    let membership = decode(&member.value)?;
    may_forget(&membership.membership)?;
    let mut batch = Batch::new();
    batch.require_unchanged(&keys[0], member.version);
    batch.put_record(&keys[0], &Membership { left: None, ..membership });
    batch.delete(&keys[1]);
    Ok(Some(batch))
}

/// Whether anybody of `server` is in `room`, or was and has not forgotten it.
pub(crate) async fn is_remembered(store: &Store, server: &ServerName, room: RoomNumber) -> Result<bool, Error> {
    let there = members(store, room).await?;
    let ours: Vec<&Membership> = there.iter().filter(|there| there.user.server_name() == server).collect();
    let keys: Vec<Key> = ours.iter().map(|there| user_key(user_digest(&there.user), room)).collect();
    let rows = store.engine().get_many(&keys).await.map_err(Error::storage("reading memberships"))?;
    Ok(rows.iter().any(Option::is_some))
}

/// Takes away the row of a user's rooms that goes with `row`, a membership of `room`.
pub(crate) fn delete_membership(batch: &mut Batch, room: RoomNumber, row: &Row) -> Result<(), Error> {
    let membership = decode(&row.value)?;
    batch.delete(&user_key(user_digest(&membership.user), room));
    Ok(())
}

/// Whether a user who left `room` has forgotten it.
async fn forgotten(store: &Store, room: RoomNumber, user: [u8; 32]) -> Result<bool, Error> {
    let row = store.get(&user_key(user, room)).await.map_err(Error::storage("reading a membership"))?;
    Ok(row.is_none())
}

/// Writes memberships ahead of the state that says so, where they are many: a batch has no room for those of a large room.
/// Those of the users of `except`, this server, come with the state: by them the room is found. So do those of users who had
/// a membership before: what it was is still to be counted.
///
/// # Errors
/// As every read and commit.
pub(crate) async fn put_ahead(
    graph: &Graph<'_>,
    nodes: &mut Nodes,
    [before, now]: [StateRoot; 2],
    except: &ServerName,
) -> Result<(), Error> {
    let changed = load(graph.store(), nodes, |nodes| nodes.differences(before, now, KeyNumber(0), usize::MAX)).await?;
    if changed.len() <= limits::MEMBERS_AT_ONCE {
        return Ok(());
    }
    for some in changed.chunks(limits::MEMBERS_AT_ONCE) {
        let some = changes::of(graph, some.to_vec()).await?;
        let of_members = of_members(&some);
        let users: Vec<&UserId> = of_members.iter().map(|(user, _)| &**user).collect();
        let stored = memberships(graph.store(), graph.room(), &users).await?;
        let mut batch = Batch::new();
        for ((user, change), _) in of_members.iter().zip(&stored).filter(|(_, stored)| stored.is_none()) {
            if let Some((event, known)) = change.event.as_ref().filter(|_| user.server_name() != except) {
                let (room, membership) = (graph.room(), membership_in(known)?);
                let record = Membership { room, user: user.clone(), membership, event: *event, left: None };
                keys_of(room, user).iter().for_each(|key| batch.put_record(key, &record));
            }
        }
        if !batch.is_empty() {
            graph.store().commit(batch).await.map_err(Error::storage("writing memberships ahead"))?;
        }
    }
    Ok(())
}

fn keys_of(room: RoomNumber, user: &UserId) -> [Key; 2] {
    let digest = user_digest(user);
    [member_key(room, digest), user_key(digest, room)]
}

/// Those changes that are of memberships. A state key that is no user id names nobody.
fn of_members(changes: &[Changed]) -> Vec<(OwnedUserId, &Changed)> {
    let of_members = changes.iter().filter(|change| change.key.kind == StateEventType::RoomMember);
    of_members.filter_map(|change| Some((UserId::parse(&change.key.key).ok()?, change))).collect()
}

fn membership_in(known: &Known) -> Result<String, Error> {
    let content = serde_json::from_str::<Content>(known.pdu.content().get());
    let content = content.map_err(|error| Error::damaged(format!("the content of a member event: {error}")))?;
    Ok(content.membership)
}

/// How one user's membership changed.
#[derive(Clone, Debug)]
pub(crate) struct Moved {
    /// The user.
    pub(crate) user: OwnedUserId,
    /// What it was.
    pub(crate) was: Option<String>,
    /// What it is.
    pub(crate) is: Option<String>,
}

/// Writes what has changed in who is in the room, and returns it.
pub(super) async fn put_changes(
    batch: &mut Batch,
    graph: &Graph<'_>,
    changes: &[Changed],
) -> Result<Vec<Moved>, Error> {
    let of_members = of_members(changes);
    let users: Vec<&UserId> = of_members.iter().map(|(user, _)| &**user).collect();
    let before = memberships(graph.store(), graph.room(), &users).await?;
    let mut moved = Vec::with_capacity(of_members.len());
    for ((user, change), before) in of_members.into_iter().zip(before) {
        let room = graph.room();
        let keys = keys_of(room, &user);
        // The row follows the state, so it has the event that is there only now if it was written ahead.
        let ahead = before.as_ref().map(|before| before.event) == change.event.as_ref().map(|(event, _)| *event);
        if let Some(before) = before.as_ref().filter(|_| ahead) {
            moved.push(Moved { user, was: None, is: Some(before.membership.clone()) });
            continue;
        }
        let mut is = None;
        match &change.event {
            None => keys.iter().for_each(|key| batch.delete(key)),
            Some((event, known)) => {
                let membership = membership_in(known)?;
                let mut left = before.as_ref().and_then(|before| before.left);
                if membership != JOIN && before.as_ref().is_some_and(|before| before.membership == JOIN) {
                    left = Some(*event);
                }
                let record = Membership { room, user: user.clone(), membership, event: *event, left };
                batch.put_record(&keys[0], &record);
                // Who has forgotten a room that they left is not told when they are shut out of it, or let in again.
                let was_gone = before.as_ref().is_some_and(|before| may_forget(&before.membership).is_ok());
                let stays = was_gone && may_forget(&record.membership).is_ok();
                if !stays || !forgotten(graph.store(), room, user_digest(&user)).await? {
                    batch.put_record(&keys[1], &record);
                }
                is = Some(record.membership);
            }
        }
        moved.push(Moved { user, was: before.map(|before| before.membership), is });
    }
    Ok(moved)
}

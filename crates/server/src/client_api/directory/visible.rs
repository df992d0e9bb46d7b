//! Whom of this server's users another may know of: those who share a room with them, and those who are in a public room.
//! `accounts` knows no rooms and `rooms` no directory, so the two meet here.

use std::collections::BTreeSet;

use accounts::DirectoryEntry;
use rooms::RoomNumber;
use rooms::append::rooms_of_user;
use rooms::read::card::cards;
use ruma::UserId;

use crate::http::{AppState, Error};

async fn joined(state: &AppState, user: &UserId) -> Result<BTreeSet<RoomNumber>, Error> {
    let rooms = rooms_of_user(state.rooms.store(), user).await?;
    Ok(rooms.into_iter().filter(|room| room.membership == "join").map(|room| room.room).collect())
}

/// Whether the two are joined to one room, or are the same.
pub(crate) async fn share_a_room(state: &AppState, one: &UserId, other: &UserId) -> Result<bool, Error> {
    if one == other {
        return Ok(true);
    }
    let (one, other) = tokio::try_join!(joined(state, one), joined(state, other))?;
    Ok(!one.is_disjoint(&other))
}

/// Those of `found` whom `searcher` may know of, but not `searcher`, at most `most`; and whether there are more.
pub(super) async fn those_known(
    state: &AppState,
    searcher: &UserId,
    found: Vec<DirectoryEntry>,
    most: usize,
) -> Result<(Vec<DirectoryEntry>, bool), Error> {
    let own = joined(state, searcher).await?;
    let mut known = Vec::new();
    for entry in found.into_iter().filter(|entry| entry.user_id != searcher) {
        let rooms = joined(state, &entry.user_id).await?;
        if own.is_disjoint(&rooms) && !any_is_public(state, &rooms).await? {
            continue;
        }
        if known.len() == most {
            return Ok((known, true));
        }
        known.push(entry);
    }
    Ok((known, false))
}

async fn any_is_public(state: &AppState, rooms: &BTreeSet<RoomNumber>) -> Result<bool, Error> {
    let rooms: Vec<RoomNumber> = rooms.iter().copied().collect();
    let cards = cards(state.rooms.store(), &rooms).await?;
    Ok(cards.iter().any(|(_, card)| card.join_rule.as_deref() == Some("public")))
}

//! The list of public rooms (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3publicrooms>): those with most
//! members first. It is made of the rooms' cards, so it is as new as the rooms are.

use std::cmp::Reverse;

use base::limits;
use ruma::RoomAliasId;
use ruma::directory::Filter;
use ruma::room::RoomSummary;

use crate::act::{AliasRecord, aliases_of, find_alias, listed};
use crate::error::{Error, Refusal};
use crate::number::RoomNumber;
use crate::read::card::cards;
use crate::rooms::Rooms;

/// A page of the list.
#[derive(Clone, Debug, Default)]
pub struct PublicRooms {
    /// The rooms.
    pub rooms: Vec<RoomSummary>,
    /// Where to go on.
    pub next: Option<String>,
    /// Where to go back.
    pub before: Option<String>,
    /// How many there are in all.
    pub count: usize,
}

impl Rooms {
    /// The public rooms that `filter` asks for, from `since` on, at most `limit`.
    ///
    /// # Errors
    /// [`Refusal::UnknownToken`]; as every read.
    pub async fn public_rooms(
        &self,
        filter: &Filter,
        since: Option<&str>,
        limit: Option<u64>,
    ) -> Result<PublicRooms, Error> {
        let start = since.map(read_token).transpose()?.unwrap_or_default();
        let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(limits::DIRECTORY_PAGE);
        let limit = limit.clamp(1, limits::DIRECTORY_PAGE);
        let listed = listed(self.store()).await?;
        let mut ranked: Vec<(Reverse<u64>, RoomNumber)> = Vec::with_capacity(listed.len());
        for rooms in listed.chunks(limits::DIRECTORY_PAGE) {
            for (room, (counts, _)) in rooms.iter().zip(cards(self.store(), rooms).await?) {
                ranked.push((Reverse(counts.joined), *room));
            }
        }
        ranked.sort_unstable();
        let numbers: Vec<RoomNumber> = ranked.into_iter().map(|(_, room)| room).collect();
        let mut wanted = Vec::new();
        for rooms in numbers.chunks(limits::DIRECTORY_PAGE) {
            let outsides = self.outsides(rooms).await?;
            wanted.extend(outsides.into_iter().map(|outside| outside.summary).filter(|room| is_wanted(filter, room)));
        }
        let count = wanted.len();
        let rooms: Vec<RoomSummary> = wanted.into_iter().skip(start).take(limit).collect();
        let end = start.saturating_add(rooms.len());
        let next = (end < count).then(|| write_token(end));
        let before = (start > 0).then(|| write_token(start.saturating_sub(limit)));
        Ok(PublicRooms { rooms, next, before, count })
    }

    /// Where an alias leads. Of other servers' aliases nothing is known here.
    ///
    /// # Errors
    /// As every read.
    pub async fn alias(&self, alias: &RoomAliasId) -> Result<Option<AliasRecord>, Error> {
        find_alias(self.store(), alias).await
    }

    /// The aliases of this server that lead to `room`.
    ///
    /// # Errors
    /// As every read.
    pub async fn aliases(&self, room: RoomNumber) -> Result<Vec<AliasRecord>, Error> {
        aliases_of(self.store(), room).await
    }
}

fn is_wanted(filter: &Filter, room: &RoomSummary) -> bool {
    let of_type = |asked: &ruma::directory::RoomTypeFilter| {
        asked.as_str() == room.room_type.as_ref().map(ruma::room::RoomType::as_str)
    };
    if !filter.room_types.is_empty() && !filter.room_types.iter().any(of_type) {
        return false;
    }
    let Some(term) = filter.generic_search_term.as_deref().filter(|term| !term.is_empty()) else { return true };
    let term = term.to_lowercase();
    let alias = room.canonical_alias.as_ref().map(|alias| alias.as_str());
    let texts = [room.name.as_deref(), room.topic.as_deref(), alias];
    texts.into_iter().flatten().any(|text| text.to_lowercase().contains(&term))
}

fn write_token(place: usize) -> String {
    format!("p{place}")
}

fn read_token(token: &str) -> Result<usize, Refusal> {
    token.strip_prefix('p').and_then(|place| place.parse().ok()).ok_or(Refusal::UnknownToken)
}

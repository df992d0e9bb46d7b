//! Finds what was said (<https://spec.matrix.org/v1.19/client-server-api/#searching>), in rooms that are not encrypted: an event
//! is found when it has all the words asked for. The index of words names what may have them; each is then read, because the
//! index knows only hashes, and because not everybody may see everything.
//!
//! Bounded: of a room, the newest [`limits::SEARCH_POSTINGS`] events with the longest word are looked at, and in all
//! [`limits::SEARCH_MATCHES`] with all words.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use base::limits;
use ruma::{OwnedRoomId, RoomId};
use storage::{Direction, Key};

use crate::append::rooms_of_user;
use crate::error::{Error, Refusal};
use crate::graph::Stored;
use crate::number::{EventNumber, RoomNumber};
use crate::read::fields::Fields;
use crate::read::filter::EventFilter;
use crate::read::page::is_ignored;
use crate::read::reading::Reading;
use crate::read::sight::{Shown, Viewer};
use crate::read::words::{Word, event_of, searched, words};
use crate::rooms::Rooms;
use crate::timeline::{Order, orders};

/// In which order results come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchOrder {
    /// Those that say most of what was asked for first.
    Rank,
    /// The newest first.
    Recent,
}

/// What is looked for.
#[derive(Clone, Debug)]
pub struct Search<'a> {
    /// The words.
    pub term: &'a str,
    /// The fields looked through, as `content.body`; all when there are none.
    pub keys: &'a [String],
    /// Which events are asked for.
    pub filter: &'a EventFilter,
    /// In which order.
    pub order: SearchOrder,
    /// Where to go on, as an earlier answer said.
    pub from: Option<&'a str>,
    /// Most results.
    pub limit: usize,
}

/// Something found.
#[derive(Clone, Debug)]
pub struct Hit {
    /// The room.
    pub room: RoomNumber,
    /// The room.
    pub room_id: OwnedRoomId,
    /// The event.
    pub event: Shown,
    /// Which part of its words was asked for, in millionths.
    pub rank: u32,
    /// When it was sent.
    at: u64,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// How many there are in all.
    pub count: usize,
    /// One page of them.
    pub hits: Vec<Hit>,
    /// Where to go on.
    pub next: Option<String>,
    /// The words, to be shown as what was found.
    pub highlights: Vec<String>,
}

/// A place among results: they come in descending order of these.
type Place = (u32, u64, String);

impl Hit {
    /// Who sent it.
    pub fn sender(&self) -> Option<String> {
        Fields::of(&self.event.stored.json).ok().map(|fields| fields.sender.into_owned())
    }

    fn place(&self, order: SearchOrder) -> Place {
        let rank = if order == SearchOrder::Rank { self.rank } else { 0 };
        (rank, self.at, self.event.stored.facts.id.to_string())
    }
}

impl Rooms {
    /// Looks in the rooms in which the viewer is.
    ///
    /// # Errors
    /// [`Refusal::UnknownToken`]; as every read.
    pub async fn search(&self, viewer: &Viewer<'_>, search: &Search<'_>) -> Result<Found, Error> {
        let from = search.from.map(read_place).transpose()?;
        let asked: BTreeSet<String> = words(search.term).take(limits::SEARCH_WORDS).collect();
        let mut found = Found { highlights: asked.iter().cloned().collect(), ..Found::default() };
        if asked.is_empty() {
            return Ok(found);
        }
        let mut hits = Vec::new();
        let memberships = rooms_of_user(self.store(), viewer.user).await?;
        for membership in memberships.into_iter().filter(|membership| membership.membership == "join") {
            if hits.len() >= limits::SEARCH_MATCHES {
                break;
            }
            let Some(mut reading) = self.read_number(membership.room).await? else { continue };
            if search.filter.allows_room(reading.id()) {
                hits.extend(reading.hits(viewer, search, &asked).await?);
            }
        }
        found.count = hits.len();
        hits.sort_by_cached_key(|hit| Reverse(hit.place(search.order)));
        hits.retain(|hit| from.as_ref().is_none_or(|from| hit.place(search.order) < *from));
        hits.truncate(search.limit);
        // A full page may be the last; the next one then is empty.
        found.next =
            hits.last().filter(|_| hits.len() == search.limit).map(|hit| write_place(&hit.place(search.order)));
        found.hits = hits;
        Ok(found)
    }
}

fn write_place((rank, at, id): &Place) -> String {
    format!("w{rank}_{at}_{id}")
}

fn read_place(token: &str) -> Result<Place, Refusal> {
    let parts = token.strip_prefix('w').and_then(|parts| {
        let (rank, rest) = parts.split_once('_')?;
        let (at, id) = rest.split_once('_')?;
        Some((rank.parse().ok()?, at.parse().ok()?, id.to_owned()))
    });
    parts.ok_or(Refusal::UnknownToken)
}

impl Reading<'_> {
    /// What is found in this room.
    async fn hits(
        &mut self,
        viewer: &Viewer<'_>,
        search: &Search<'_>,
        asked: &BTreeSet<String>,
    ) -> Result<Vec<Hit>, Error> {
        let candidates = self.with_words(asked).await?;
        let room_id: &RoomId = self.id();
        let room_id = room_id.to_owned();
        let stored = self.graph.stored(&candidates).await?;
        let places = orders(self.store(), self.number(), &candidates).await?;
        let mut ranked: Vec<(u32, u64)> = Vec::new();
        let mut placed: Vec<(Stored, Order)> = Vec::new();
        for (stored, order) in stored.into_iter().zip(places) {
            let (Some(stored), Some(order)) = (stored, order) else { continue };
            let fields = Fields::of(&stored.json)?;
            if !search.filter.allows(&fields) || is_ignored(viewer, &fields) {
                continue;
            }
            if let Some(rank) = rank(&fields, search.keys, asked) {
                ranked.push((rank, fields.origin_server_ts));
                placed.push((stored, order));
            }
        }
        let mut sight = self.sight(viewer.user).await?;
        let seen = self.visible(&mut sight, &placed).await?;
        let found = placed.into_iter().zip(ranked).zip(seen);
        let hits = found.filter_map(|(((stored, order), (rank, at)), membership)| {
            let event = Shown { stored, order, membership: membership?, gap_before: false };
            Some(Hit { room: self.number(), room_id: room_id.clone(), event, rank, at })
        });
        Ok(hits.collect())
    }

    /// The newest events that may have all of these words.
    async fn with_words(&self, asked: &BTreeSet<String>) -> Result<Vec<EventNumber>, Error> {
        // The longest is likely the rarest.
        let Some(first) = asked.iter().max_by_key(|word| word.chars().count()) else { return Ok(Vec::new()) };
        let others: Vec<Word> = asked.iter().filter(|word| *word != first).map(|word| Word::of(word)).collect();
        let (mut range, mut looked_at, mut found) = (Word::of(first).range(self.number()), 0, Vec::new());
        while looked_at < limits::SEARCH_POSTINGS && found.len() < limits::SEARCH_MATCHES {
            let page = self.store().scan(&range, Direction::Backward, limits::SEARCH_MATCHES).await;
            let page = page.map_err(Error::storage("looking for a word"))?;
            looked_at += page.rows.len();
            let events: Vec<EventNumber> = page.rows.iter().filter_map(|row| event_of(&row.key)).collect();
            let keys: Vec<Key> =
                events.iter().flat_map(|event| others.iter().map(|word| word.key(self.number(), *event))).collect();
            let rows = self.store().engine().get_many(&keys).await.map_err(Error::storage("looking for words"))?;
            let mut rows = rows.into_iter();
            for event in events {
                if rows.by_ref().take(others.len()).filter(Option::is_some).count() == others.len() {
                    found.push(event);
                }
            }
            match page.rest {
                Some(rest) => range = rest,
                None => break,
            }
        }
        found.truncate(limits::SEARCH_MATCHES);
        Ok(found)
    }
}

/// Which part of an event's words was asked for, in millionths; `None` when one asked for is not among them, or it is not
/// in a field that is looked through.
fn rank(fields: &Fields<'_>, keys: &[String], asked: &BTreeSet<String>) -> Option<u32> {
    let (field, text) = searched(&fields.kind, fields.content.get())?;
    if !keys.is_empty() && !keys.iter().any(|key| key == field) {
        return None;
    }
    let (mut all, mut hit, mut distinct) = (0u32, 0u32, BTreeSet::new());
    for word in words(&text) {
        all = all.saturating_add(1);
        if asked.contains(&word) {
            hit = hit.saturating_add(1);
            distinct.insert(word);
        }
    }
    (distinct.len() == asked.len()).then(|| {
        let part = u64::from(hit) * 1_000_000 / u64::from(all.max(1));
        u32::try_from(part).unwrap_or(u32::MAX)
    })
}

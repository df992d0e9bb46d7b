//! Reports: what users tell the server's administrators about events, rooms and people. Kept until an administrator deletes
//! them, and so many at most that nobody can fill the disk; past that the oldest goes.
//! <https://spec.matrix.org/v1.19/client-server-api/#reporting-content>

use base::{Timestamp, limits};
use ruma::{EventId, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, UserId};
use serde::{Deserialize, Serialize};
use storage::table::REPORT;
use storage::{Batch, Direction, Key, KeyRange, Record};

use crate::error::{Error, Refusal};
use crate::graph::Graph;
use crate::rooms::Rooms;

/// What is reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reported {
    /// An event of a room.
    Event(OwnedRoomId, OwnedEventId),
    /// A room.
    Room(OwnedRoomId),
    /// Somebody.
    User(OwnedUserId),
}

/// A report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// What is reported.
    pub what: Reported,
    /// By whom.
    pub by: OwnedUserId,
    /// Why, in their words; cut to [`limits::REPORT_REASON_BYTES`].
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// How many reports there are.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct CountRecord(u64);

storage::first_version!(Report, CountRecord);

const COUNT: u8 = 0;
const REPORTS: u8 = 1;

fn count_key() -> Key {
    Key::of(REPORT, &COUNT)
}

impl Rooms {
    /// Reports an event.
    ///
    /// # Errors
    /// [`Refusal::NoSuchEvent`] also for who is not in the room, so that nobody learns what there is; as every commit.
    pub async fn report_event(&self, room: &RoomId, event: &EventId, by: &UserId, reason: &str) -> Result<(), Error> {
        let number = self.number_of(room).await.map_err(|_| Refusal::NoSuchEvent)?;
        self.require_joined(number, by).await.map_err(|_| Refusal::NoSuchEvent)?;
        let view = self.view(number).await?;
        let graph: Graph<'_> = view.graph;
        let event = event.to_owned();
        let known = graph.numbers(std::slice::from_ref(&event)).await?.get(&event).copied();
        let known = graph.facts(known.as_slice()).await?.into_iter().next().flatten();
        known.ok_or(Refusal::NoSuchEvent)?;
        self.report(Reported::Event(room.to_owned(), event), by, reason).await
    }

    /// Reports a room.
    ///
    /// # Errors
    /// [`Refusal::NoSuchRoom`]; as every commit.
    pub async fn report_room(&self, room: &RoomId, by: &UserId, reason: &str) -> Result<(), Error> {
        self.number_of(room).await?;
        self.report(Reported::Room(room.to_owned()), by, reason).await
    }

    /// Reports somebody. Whether there is an account is not told.
    ///
    /// # Errors
    /// As every commit.
    pub async fn report_user(&self, user: &UserId, by: &UserId, reason: &str) -> Result<(), Error> {
        self.report(Reported::User(user.to_owned()), by, reason).await
    }

    /// The latest reports, latest first, at most `limit`.
    ///
    /// # Errors
    /// As every read.
    pub async fn reports(&self, limit: usize) -> Result<Vec<Report>, Error> {
        let range = KeyRange::prefix(REPORT, &REPORTS);
        let page = self.store().scan(&range, Direction::Backward, limit).await;
        let rows = page.map_err(Error::storage("reading reports"))?.rows;
        let read = |value: &[u8]| Report::decode(value).map_err(|error| Error::damaged(format!("a report: {error}")));
        rows.iter().map(|row| read(&row.value)).collect()
    }

    async fn report(&self, what: Reported, by: &UserId, reason: &str) -> Result<(), Error> {
        let store = self.store();
        let at = store.clock().now();
        let end = reason.floor_char_boundary(limits::REPORT_REASON_BYTES);
        let reason = reason.get(..end).unwrap_or_default().to_owned();
        let report = Report { what, by: by.to_owned(), reason, at };
        for _ in 0..limits::APPEND_ATTEMPTS {
            let count =
                store.get_record::<CountRecord>(&count_key()).await.map_err(Error::storage("counting reports"))?;
            let (CountRecord(count), version) = match count {
                Some((count, version)) => (count, Some(version)),
                None => (CountRecord(0), None),
            };
            let mut batch = Batch::new();
            batch.require_version(&count_key(), version);
            let mut after = count.saturating_add(1);
            if after > limits::REPORTS {
                let page = store.scan(&KeyRange::prefix(REPORT, &REPORTS), Direction::Forward, 1).await;
                for row in page.map_err(Error::storage("reading reports"))?.rows {
                    batch.delete(&row.key);
                    after = count;
                }
            }
            batch.put_record(&count_key(), &CountRecord(after));
            batch.put_record(&Key::of(REPORT, &(REPORTS, at.as_millis(), store.random().next_u64())), &report);
            match store.commit(batch).await {
                Err(error) if error.is_conflict() => {}
                other => return other.map(drop).map_err(Error::storage("storing a report")),
            }
        }
        Err(Error::Busy { attempts: limits::APPEND_ATTEMPTS })
    }
}

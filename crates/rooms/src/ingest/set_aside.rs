//! Events that could not be worked on: kept as they came, marked, listed for admins, skipped, and tried again on request.
//!
//! What an admin sees is who sent what kind of event where, how large it is and what went wrong; never what it says, which
//! may be a message.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base::{Timestamp, limits};
use bytes::Bytes;
use ruma::{EventId, OwnedEventId, OwnedRoomId, OwnedServerName, OwnedUserId, RoomId, ServerName};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use storage::table::{EVENT_SET_ASIDE, EVENT_SET_ASIDE_JSON};
use storage::{Batch, Direction, Key, KeyRange, Record, Store, Version};

use crate::error::Error;
use crate::event::Pdu;
use crate::ingest::fetch::Fetch;
use crate::ingest::guard::Poison;
use crate::ingest::{Report, Sent, Source, Verdict};
use crate::rooms::Rooms;

/// Stands for an event that is or may be set aside: made of its room and its id or, as long as that is not known, its bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Digest([u8; 32]);

impl Digest {
    pub(super) fn of_id(room: &RoomId, id: &EventId) -> Self {
        Self::of(*b"id", room, id.as_str().as_bytes())
    }

    pub(super) fn of_bytes(room: &RoomId, bytes: &[u8]) -> Self {
        Self::of(*b"as", room, bytes)
    }

    fn of(kind: [u8; 2], room: &RoomId, bytes: &[u8]) -> Self {
        let room = room.as_str();
        let hash = Sha256::new().chain_update(kind).chain_update(room.len().to_be_bytes());
        Self(hash.chain_update(room).chain_update(bytes).finalize().into())
    }
}

/// As hex digits, by which an admin names it.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// It is not 64 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what stands for an event that was set aside has 64 hex digits")]
pub struct NoDigest;

impl FromStr for Digest {
    type Err = NoDigest;

    fn from_str(text: &str) -> Result<Self, NoDigest> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return Err(NoDigest);
        }
        for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
            let digits = text.get(at..at + 2).ok_or(NoDigest)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| NoDigest)?;
        }
        Ok(Self(bytes))
    }
}

/// What was being done with the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// Reading it, and checking its format, hash and signatures.
    Check,
    /// Judging and appending it.
    Judge,
}

/// Why the event is set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// Work on it panicked.
    Panicked,
    /// Work on it did not end in time.
    TooSlow,
    /// What is stored does not fit together where it is concerned.
    Faulted,
    /// The process died while it was being worked on. At first it is only under suspicion; see [`SetAside::is_suspect`].
    Crashed {
        /// How often.
        times: u32,
    },
}

/// An event that is set aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetAside {
    /// Its room.
    pub room_id: OwnedRoomId,
    /// Which server sent it.
    pub from: OwnedServerName,
    /// Its id, if it came so far that it has one.
    pub event: Option<OwnedEventId>,
    /// Its type, likewise.
    pub kind: Option<String>,
    /// Its sender, likewise.
    pub sender: Option<OwnedUserId>,
    /// How large it is as it came.
    pub bytes: u64,
    /// What was being done with it.
    pub stage: Stage,
    /// Why it is here.
    pub cause: Cause,
    /// More about that, without anything that the event says.
    pub reason: String,
    /// Since when.
    pub at: Timestamp,
    /// How often an admin has had it tried again.
    pub replays: u32,
}

impl SetAside {
    /// Whether it is only under suspicion: it is worked on when it comes again, but alone.
    pub fn is_suspect(&self) -> bool {
        matches!(self.cause, Cause::Crashed { times } if times < limits::INGEST_CRASHES)
    }
}

/// What came of trying again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replayed {
    /// There is no such event.
    Unknown,
    /// It could be worked on, with this outcome, and is no longer set aside.
    Done(Verdict),
    /// It could not, again.
    Again(Box<SetAside>),
}

/// Events being worked on, as they are noted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Noted(pub(super) Vec<NotedEvent>);

/// An event being worked on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct NotedEvent {
    pub(super) digest: Digest,
    room_id: OwnedRoomId,
    from: OwnedServerName,
    event: Option<OwnedEventId>,
    kind: Option<String>,
    sender: Option<OwnedUserId>,
    stage: Stage,
    json: Vec<u8>,
}

storage::first_version!(SetAside, Noted);

impl Noted {
    /// Whether work that went well was the last there is to be done under these names.
    pub(super) fn is_last(&self) -> bool {
        self.0.iter().all(|event| event.event.is_none() || event.stage == Stage::Judge)
    }

    pub(super) fn digests(&self) -> impl Iterator<Item = Digest> + '_ {
        self.0.iter().map(|event| event.digest)
    }
}

impl NotedEvent {
    /// Bytes of which nothing is known.
    pub(super) fn unread(room: &RoomId, from: &ServerName, json: &Bytes) -> Self {
        Self {
            digest: Digest::of_bytes(room, json),
            room_id: room.to_owned(),
            from: from.to_owned(),
            event: None,
            kind: None,
            sender: None,
            stage: Stage::Check,
            json: json.to_vec(),
        }
    }

    /// An event that can be read.
    pub(super) fn read(from: &ServerName, pdu: &Pdu, stage: Stage) -> Self {
        Self {
            digest: Digest::of_id(pdu.room_id(), pdu.id()),
            room_id: pdu.room_id().to_owned(),
            from: from.to_owned(),
            event: Some(pdu.id().to_owned()),
            kind: Some(pdu.kind().to_string()),
            sender: Some(pdu.sender().to_owned()),
            stage,
            json: pdu.json().to_vec(),
        }
    }

    fn into_row(self, cause: Cause, reason: &str, at: Timestamp) -> (SetAside, Vec<u8>) {
        let Self { room_id, from, event, kind, sender, stage, json, .. } = self;
        let bytes = json.len() as u64;
        let reason = reason.to_owned();
        (SetAside { room_id, from, event, kind, sender, bytes, stage, cause, reason, at, replays: 0 }, json)
    }
}

fn key(digest: Digest) -> Key {
    Key::of(EVENT_SET_ASIDE, &digest.0)
}

fn json_range(digest: Digest) -> KeyRange {
    KeyRange::prefix(EVENT_SET_ASIDE_JSON, &digest.0)
}

fn json_key(digest: Digest, part: u32) -> Key {
    Key::of(EVENT_SET_ASIDE_JSON, &(digest.0, part))
}

async fn read(store: &Store, digest: Digest) -> Result<Option<(SetAside, Version)>, Error> {
    store.get_record::<SetAside>(&key(digest)).await.map_err(Error::storage("reading an event set aside"))
}

/// Writes an event that is set aside. One that was before keeps its count of replays.
async fn put(store: &Store, noted: NotedEvent, cause: Cause, reason: &str) -> Result<SetAside, Error> {
    let digest = noted.digest;
    loop {
        let before = read(store, digest).await?;
        let (mut row, json) = noted.clone().into_row(cause, reason, store.clock().now());
        row.replays = before.as_ref().map_or(0, |(before, _)| before.replays);
        let mut batch = Batch::new();
        batch.require_version(&key(digest), before.map(|(_, version)| version));
        batch.put_record(&key(digest), &row);
        for (part, bytes) in (0..).zip(json.chunks(limits::EVENT_BYTES)) {
            batch.put(&json_key(digest, part), bytes.to_vec());
        }
        match store.commit(batch).await {
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(Error::storage("setting an event aside")(error)),
            Ok(_) if row.is_suspect() => return Ok(row),
            Ok(_) => {
                let event = row.event.as_ref().map_or_else(|| digest.to_string(), ToString::to_string);
                tracing::error!(room = %row.room_id, from = %row.from, event, ?cause, reason, "an event is set aside");
                return Ok(row);
            }
        }
    }
}

/// Takes an event out again.
pub(super) async fn remove(store: &Store, digest: Digest) -> Result<(), Error> {
    let mut batch = Batch::new();
    batch.delete(&key(digest));
    let page = store.scan(&json_range(digest), Direction::Forward, limits::SCAN_ROWS).await;
    for row in page.map_err(Error::storage("reading an event set aside"))?.rows {
        batch.delete(&row.key);
    }
    store.commit(batch).await.map(drop).map_err(Error::storage("releasing an event that was set aside"))
}

/// The process died while these were being worked on.
pub(super) async fn process_died(store: &Store, noted: Noted) -> Result<(), Error> {
    for event in noted.0 {
        let before = read(store, event.digest).await?.map(|(row, _)| row);
        let crashes = match before.as_ref().map(|row| row.cause) {
            Some(Cause::Crashed { times }) => times,
            // It is set aside already; a thread that was given up still had it.
            Some(_) => continue,
            None => 0,
        };
        let reason = "the process died while it was being worked on";
        put(store, event, Cause::Crashed { times: crashes + 1 }, reason).await?;
    }
    Ok(())
}

/// What was being worked on when the process died and is not set aside for it.
pub(super) async fn suspects(store: &Store) -> Result<BTreeSet<Digest>, Error> {
    let all = list(store, usize::MAX).await?;
    Ok(all.into_iter().filter(|(_, row)| row.is_suspect()).map(|(digest, _)| digest).collect())
}

/// Sets an event aside that turned out to be poison.
pub(super) async fn poisoned(store: &Store, noted: NotedEvent, poison: &Poison) -> Result<SetAside, Error> {
    let (cause, reason) = match poison {
        Poison::Panicked(said) => (Cause::Panicked, said.as_str()),
        Poison::TooSlow => (Cause::TooSlow, ""),
    };
    put(store, noted, cause, reason).await
}

/// Sets an event aside at which what is stored was found damaged.
pub(super) async fn faulted(store: &Store, noted: NotedEvent, error: &Error) -> Result<SetAside, Error> {
    // The text is ours: it names numbers and rows.
    let reason = error.to_string();
    let end = reason.floor_char_boundary(limits::INGEST_REASON_BYTES);
    put(store, noted, Cause::Faulted, reason.get(..end).unwrap_or_default()).await
}

/// Which of `digests` are set aside, in their order.
pub(super) async fn are_set_aside(store: &Store, digests: &[Digest]) -> Result<Vec<bool>, Error> {
    let keys: Vec<Key> = digests.iter().map(|digest| key(*digest)).collect();
    let rows = store.engine().get_many(&keys).await.map_err(Error::storage("looking for events set aside"))?;
    let aside = |value: &[u8]| SetAside::decode(value).is_ok_and(|row| !row.is_suspect());
    Ok(rows.into_iter().map(|row| row.is_some_and(|row| aside(&row.value))).collect())
}

async fn list(store: &Store, limit: usize) -> Result<Vec<(Digest, SetAside)>, Error> {
    let (mut range, mut found) = (KeyRange::table(EVENT_SET_ASIDE), Vec::new());
    while found.len() < limit && !range.is_empty() {
        let page = store.scan(&range, Direction::Forward, (limit - found.len()).min(limits::SCAN_ROWS)).await;
        let page = page.map_err(Error::storage("listing events set aside"))?;
        for row in page.rows {
            let digest = row.key.parts().map_err(|error| Error::damaged(format!("an event set aside: {error}")))?;
            let record = SetAside::decode(&row.value);
            found.push((
                Digest(digest),
                record.map_err(|error| Error::damaged(format!("{}: {error}", Digest(digest))))?,
            ));
        }
        match page.rest {
            Some(rest) => range = rest,
            None => break,
        }
    }
    Ok(found)
}

impl Rooms {
    /// Events that are set aside, at most `limit`; those that are only under suspicion are among them.
    ///
    /// # Errors
    /// As every read.
    pub async fn set_aside(&self, limit: usize) -> Result<Vec<(Digest, SetAside)>, Error> {
        list(self.store(), limit).await
    }

    /// One of them.
    ///
    /// # Errors
    /// As every read.
    pub async fn one_set_aside(&self, digest: Digest) -> Result<Option<SetAside>, Error> {
        Ok(read(self.store(), digest).await?.map(|(row, _)| row))
    }

    /// Works on an event again that is set aside, as if it had just been sent. It leaves when that goes well, whatever the
    /// verdict.
    ///
    /// # Errors
    /// As [`Rooms::ingest`].
    pub async fn replay(self: &Arc<Self>, digest: Digest, fetch: &dyn Fetch) -> Result<Replayed, Error> {
        let store = self.store();
        let Some((row, version)) = read(store, digest).await? else { return Ok(Replayed::Unknown) };
        let page = store.scan(&json_range(digest), Direction::Forward, limits::SCAN_ROWS).await;
        let parts = page.map_err(Error::storage("reading an event set aside"))?.rows;
        let json: Vec<u8> = parts.iter().flat_map(|part| part.value.iter().copied()).collect();
        let mut batch = Batch::new();
        batch.require_unchanged(&key(digest), version);
        batch.put_record(&key(digest), &SetAside { replays: row.replays.saturating_add(1), ..row.clone() });
        store.commit(batch).await.map_err(Error::storage("noting a replay"))?;
        let sent =
            Sent { from: &row.from, room_id: &row.room_id, events: vec![Bytes::from(json)], source: Source::Live };
        let report: Report = self.ingest_anyway(sent, fetch, digest).await?;
        match report.of(0).cloned() {
            None | Some(Verdict::SetAside) => {
                let again = read(store, digest).await?.map_or(row, |(again, _)| again);
                Ok(Replayed::Again(Box::new(again)))
            }
            Some(verdict) => {
                remove(store, digest).await?;
                Ok(Replayed::Done(verdict))
            }
        }
    }
}

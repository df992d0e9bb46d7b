//! Where words were said: the index by which messages are found
//! (<https://spec.matrix.org/v1.19/client-server-api/#searching>). It is written in the batch of the event and taken back in
//! that of its redaction. What is encrypted has no words here, so an encrypted room takes no room in the index.
//!
//! A row is 26 bytes of key and no value; an event has at most [`limits::SEARCH_WORDS`]. Words are known by a part of their
//! hash, so who searches must look into what is found.

use std::collections::BTreeSet;

use base::limits;
use ruma::events::TimelineEventType;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use storage::table::EVENT_FOUND_BY;
use storage::{Batch, Key, KeyRange};

use crate::event::Pdu;
use crate::number::{EventNumber, RoomNumber};

/// What [`EVENT_FOUND_BY`] has of words; `jump` has the rest.
const BY_WORD: u8 = 0;

/// A part of a word's hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Word(u64);

/// The words of `text` as they are looked for: runs of letters and digits in lower case. Scripts that are written without
/// spaces are cut into their characters.
pub(crate) fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = rest.find(char::is_alphanumeric)?;
        rest = rest.get(start..)?;
        let first = rest.chars().next()?;
        let end = if is_a_word(first) {
            first.len_utf8()
        } else {
            rest.find(|char: char| !char.is_alphanumeric() || is_a_word(char)).unwrap_or(rest.len())
        };
        let (word, after) = rest.split_at(end);
        rest = after;
        Some(word.chars().take(limits::SEARCH_WORD_CHARS).flat_map(char::to_lowercase).collect())
    })
}

/// Whether a character of this script stands for a word by itself.
fn is_a_word(char: char) -> bool {
    matches!(char, '\u{0e00}'..='\u{0eff}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{20000}'..='\u{3ffff}')
}

impl Word {
    /// The word that `text`, in lower case, is.
    pub(crate) fn of(text: &str) -> Self {
        Self(Sha256::digest(text).first_chunk().map(|bytes| u64::from_be_bytes(*bytes)).unwrap_or_default())
    }

    /// Where it was said in `room`.
    pub(crate) fn range(self, room: RoomNumber) -> KeyRange {
        KeyRange::prefix(EVENT_FOUND_BY, &(room, BY_WORD, self.0))
    }

    /// Its row for `event` of `room`.
    pub(crate) fn key(self, room: RoomNumber, event: EventNumber) -> Key {
        Key::of(EVENT_FOUND_BY, &(room, BY_WORD, self.0, event))
    }
}

/// The event of a row of [`Word::range`].
pub(crate) fn event_of(key: &Key) -> Option<EventNumber> {
    key.parts::<(RoomNumber, u8, u64, EventNumber)>().ok().map(|(.., event)| event)
}

#[derive(Deserialize)]
struct Content {
    body: Option<Value>,
    name: Option<Value>,
    topic: Option<Value>,
}

/// What is looked through in an event of type `kind`: the field of its content that search names, and its text.
pub(crate) fn searched(kind: &str, content: &str) -> Option<(&'static str, String)> {
    if !["m.room.message", "m.room.name", "m.room.topic"].contains(&kind) {
        return None;
    }
    let content: Content = serde_json::from_str(content).ok()?;
    let (field, text) = match kind {
        "m.room.message" => ("content.body", content.body),
        "m.room.name" => ("content.name", content.name),
        _ => ("content.topic", content.topic),
    };
    match text? {
        Value::String(text) => Some((field, text)),
        _ => None,
    }
}

fn keys(room: RoomNumber, pdu: &Pdu, event: EventNumber) -> Vec<Key> {
    let kind = pdu.kind();
    if !matches!(kind, TimelineEventType::RoomMessage | TimelineEventType::RoomName | TimelineEventType::RoomTopic) {
        return Vec::new();
    }
    let Some((_, text)) = searched(&kind.to_string(), pdu.content().get()) else { return Vec::new() };
    let mut distinct = BTreeSet::new();
    for word in words(&text) {
        distinct.insert(Word::of(&word));
        if distinct.len() >= limits::SEARCH_WORDS {
            break;
        }
    }
    distinct.into_iter().map(|word| word.key(room, event)).collect()
}

/// Writes where the words of an accepted event are.
pub(crate) fn put(batch: &mut Batch, room: RoomNumber, pdu: &Pdu, event: EventNumber) {
    keys(room, pdu, event).iter().for_each(|key| batch.put(key, Vec::new()));
}

/// Takes back the words of an event that is redacted and was `pdu`.
pub(crate) fn remove(batch: &mut Batch, room: RoomNumber, pdu: &Pdu, event: EventNumber) {
    keys(room, pdu, event).iter().for_each(|key| batch.delete(key));
}

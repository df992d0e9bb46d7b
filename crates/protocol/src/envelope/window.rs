//! The replay window: every letter once, in bounded memory, without ever letting a second one through.
//!
//! A letter is known by its sender, its time and its random id. What is older than the window is refused by its time alone, so
//! that it need not be remembered. When memory runs out, the oldest marks are forgotten and the *floor* rises to them: what is at
//! or below a floor is refused unseen. So running out of memory can refuse a late letter, never admit one twice; the sender seals
//! again and gets through.

use std::collections::{BTreeMap, BTreeSet};

use super::{EnvelopeError, Letter, NAME_MAX, VerifiedLetter};

/// How old a letter may be: a day. Whoever was cut off for longer seals again.
pub const AGE_MAX_MS: u64 = 24 * 60 * 60 * 1000;

/// How far a sender's clock may be ahead of ours: five minutes.
pub const SKEW_MAX_MS: u64 = 5 * 60 * 1000;

/// How many letters of one sender are remembered one by one.
pub const SEEN_MAX: usize = 512;

/// How many senders are remembered one by one. With [`SEEN_MAX`] this bounds the window's memory to some 10 MB.
pub const SENDERS_MAX: usize = 512;

/// The largest snapshot of a window.
pub const SNAPSHOT_BYTES_MAX: usize = 13 + SENDERS_MAX * (1 + NAME_MAX + 8 + 2 + SEEN_MAX * 24);

const SNAPSHOT_VERSION: u8 = 1;

/// Why a letter is not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// It was admitted before.
    #[error("admitting a letter: it was here before")]
    Replayed,
    /// It is so old that nobody remembers whether it was here before.
    #[error("admitting a letter: it is too old")]
    TooOld,
    /// It was sent later than now.
    #[error("admitting a letter: it was sent in the future")]
    FromTheFuture,
}

/// Which letters were here. Keep it with [`Self::to_bytes`]; a window that is lost must be begun anew with the present as its floor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayWindow {
    floor_ms: u64,
    senders: BTreeMap<String, Seen>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Seen {
    floor_ms: u64,
    marks: BTreeSet<(u64, [u8; 16])>,
}

impl Seen {
    /// Nothing newer than this is forgotten.
    fn newest_ms(&self) -> u64 {
        self.marks.last().map_or(0, |(time, _)| *time).max(self.floor_ms)
    }

    fn forget_until(&mut self, floor_ms: u64) {
        self.marks = self.marks.split_off(&(floor_ms.saturating_add(1), [0; 16]));
    }
}

impl ReplayWindow {
    /// A window that knows nothing of letters sent up to `floor_ms`, and so refuses them: zero for a server that has just been set up,
    /// now plus [`SKEW_MAX_MS`] for one that has lost its window.
    #[must_use]
    pub fn new(floor_ms: u64) -> Self {
        Self { floor_ms, senders: BTreeMap::new() }
    }

    /// Admits a letter if it is here for the first time.
    ///
    /// # Errors
    /// [`ReplayError`] if it is not, or nobody can tell.
    pub fn admit(&mut self, letter: VerifiedLetter, now_ms: u64) -> Result<Letter, ReplayError> {
        let mark = letter.mark();
        if mark.0 > now_ms.saturating_add(SKEW_MAX_MS) {
            return Err(ReplayError::FromTheFuture);
        }
        // The floor never sinks, so a clock that is set back cannot reopen what was forgotten.
        self.floor_ms = self.floor_ms.max(now_ms.saturating_sub(AGE_MAX_MS));
        let known = self.senders.get(letter.sender());
        if known.is_some_and(|seen| seen.marks.contains(&mark)) {
            return Err(ReplayError::Replayed);
        }
        if mark.0 <= self.floor_ms.max(known.map_or(0, |seen| seen.floor_ms)) {
            return Err(ReplayError::TooOld);
        }
        self.remember(letter.sender(), mark);
        Ok(letter.admitted())
    }

    fn remember(&mut self, sender: &str, mark: (u64, [u8; 16])) {
        let floor_ms = self.floor_ms;
        let seen = self.senders.entry(sender.to_owned()).or_default();
        seen.marks.insert(mark);
        seen.forget_until(floor_ms);
        if seen.marks.len() > SEEN_MAX
            && let Some((oldest, _)) = seen.marks.pop_first()
        {
            seen.floor_ms = seen.floor_ms.max(oldest);
        }
        if self.senders.len() > SENDERS_MAX {
            self.forget_a_sender();
        }
    }

    /// Forgets those of whom nothing above the floor is known; if there are none, whoever was silent for longest.
    fn forget_a_sender(&mut self) {
        let floor_ms = self.floor_ms;
        self.senders.retain(|_, seen| seen.newest_ms() > floor_ms);
        if self.senders.len() <= SENDERS_MAX {
            return;
        }
        let silent = self.senders.iter().min_by_key(|(_, seen)| seen.newest_ms()).map(|(name, _)| name.clone());
        if let Some(seen) = silent.and_then(|name| self.senders.remove(&name)) {
            self.floor_ms = self.floor_ms.max(seen.newest_ms());
        }
    }

    /// The window, for storing it. Not secret; whoever can alter it can let letters be replayed.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![SNAPSHOT_VERSION];
        bytes.extend_from_slice(&self.floor_ms.to_be_bytes());
        bytes.extend_from_slice(&u32::try_from(self.senders.len()).unwrap_or(u32::MAX).to_be_bytes());
        for (name, seen) in &self.senders {
            bytes.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(&seen.floor_ms.to_be_bytes());
            bytes.extend_from_slice(&u16::try_from(seen.marks.len()).unwrap_or(u16::MAX).to_be_bytes());
            for (time, id) in &seen.marks {
                bytes.extend_from_slice(&time.to_be_bytes());
                bytes.extend_from_slice(id);
            }
        }
        bytes
    }

    /// The window that was stored. Only what [`Self::to_bytes`] writes is read.
    ///
    /// # Errors
    /// [`EnvelopeError::Malformed`] for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        let (window, rest) = Self::read(bytes).ok_or(EnvelopeError::Malformed)?;
        if rest.is_empty() && window.to_bytes() == bytes { Ok(window) } else { Err(EnvelopeError::Malformed) }
    }

    fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let ([version], rest) = bytes.split_first_chunk::<1>()?;
        let (floor, rest) = rest.split_first_chunk::<8>()?;
        let (count, mut rest) = rest.split_first_chunk::<4>()?;
        let count = usize::try_from(u32::from_be_bytes(*count)).ok()?;
        if *version != SNAPSHOT_VERSION || count > SENDERS_MAX {
            return None;
        }
        let mut window = Self::new(u64::from_be_bytes(*floor));
        for _ in 0..count {
            let (name, seen, after) = read_sender(rest)?;
            window.senders.insert(name, seen);
            rest = after;
        }
        Some((window, rest))
    }
}

fn read_sender(bytes: &[u8]) -> Option<(String, Seen, &[u8])> {
    let (length, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*length))?;
    let name = std::str::from_utf8(name).ok()?.to_owned();
    let (floor, rest) = rest.split_first_chunk::<8>()?;
    let (count, mut rest) = rest.split_first_chunk::<2>()?;
    let count = usize::from(u16::from_be_bytes(*count));
    if count > SEEN_MAX {
        return None;
    }
    let mut seen = Seen { floor_ms: u64::from_be_bytes(*floor), marks: BTreeSet::new() };
    for _ in 0..count {
        let (time, after) = rest.split_first_chunk::<8>()?;
        let (id, after) = after.split_first_chunk::<16>()?;
        seen.marks.insert((u64::from_be_bytes(*time), *id));
        rest = after;
    }
    Some((name, seen, rest))
}

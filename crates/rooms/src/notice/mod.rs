//! What people have seen of a room and what they have not: receipts, who is typing, and the counts of unread events.
//!
//! Receipts are stored and logged in the room's partition, so that all readers learn of them in order. Typing lives in memory
//! only. Unread counts are stored nowhere: they are computed when somebody asks, from the events after their receipts and
//! their push rules, and remembered by position in a bounded cache, so that asking again costs the new events only.
//!
//! Must not know where push rules come from, nor send anything.
//!
//! Where to go: `receipt` has the rows and `mark` writes them, `receipts` reads them for sync; `thread` says which thread an
//! event is in; [`typing`] is who types; [`rules`] evaluates push rules over an event, with `pattern` for its globs; `seen`
//! has events and rooms as rules see them; `unread` counts, `notified` lists, `announce` says what is told of an event.

mod announce;
mod mark;
mod notified;
mod pattern;
mod receipt;
mod receipts;
pub mod rules;
mod seen;
mod thread;
pub mod typing;
mod unread;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod pattern_tests;
#[cfg(test)]
mod receipt_tests;
#[cfg(test)]
mod rules_tests;
#[cfg(test)]
mod typing_tests;
#[cfg(test)]
mod unread_tests;

use std::sync::Arc;

use base::Clock;
use storage::Kind;

pub use announce::{Accepted, Announcement};
pub use mark::NewReceipt;
pub use notified::{Notified, NotifiedPage, NotifiedQuery};
pub use receipt::{ReceiptKind, ReceiptLog, Thread};
pub use rules::Reader;
pub use seen::Seen;
pub use typing::{Typing, TypingNow};
pub use unread::{Count, UnreadCounts};

/// Log entries of this kind say that a receipt moved; their payload is a [`ReceiptLog`].
pub const RECEIPT_MOVED: Kind = Kind(44);

/// What a process remembers of who has seen what.
#[derive(Debug)]
pub(crate) struct Notice {
    typing: Arc<Typing>,
    seen: seen::Cache,
    unread: unread::Cache,
}

impl Notice {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { typing: Arc::new(Typing::new(clock)), seen: seen::Cache::new(), unread: unread::Cache::new() }
    }
}

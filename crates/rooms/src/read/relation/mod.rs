//! What relates to what: edits, threads, references, reactions and every other relation that an event's content names
//! (<https://spec.matrix.org/v1.19/client-server-api/#forming-relationships-between-events>).
//!
//! An index that is written in the batch of the event that relates, and taken back in that of its redaction, so that what it
//! holds is exactly what is there. An event need not be known for others to relate to it.
//!
//! Where to go: `record` has the rows, `index` writes them; `bundle` is what goes with an event to a client, `list` answers
//! what relates to an event, `threads` which threads a room has.

mod bundle;
mod index;
mod list;
mod names;
mod record;

pub(crate) use bundle::Bundle;
pub(crate) use index::{At, Relations};
pub use list::{RelatedTo, Threads};
pub(crate) use names::{Named, Names};
pub(crate) use record::{REDACTS, relates_range, relation};

//! Everything that is asked of rooms: their timelines as somebody may see them, their states at any point, what relates to
//! what, and how rooms look from outside.
//!
//! **Invariant.** Nothing here changes a room. The indexes that reading needs (relations, words, cards) are written by
//! `append` through functions here, in the batch of the event they follow from.
//!
//! Where to go: `reading` is a room that is being read. `visibility` has the rules of who may see an event, `sight` what these
//! need; `page` walks the timeline, `filter` says which events are asked for, `render` writes them as clients see them;
//! `state` reads states; [`relation`] is what relates to what; [`card`] a room at a glance; `words` where what was said.

pub mod card;
mod fields;
mod filter;
mod page;
mod reading;
pub mod relation;
mod render;
mod sight;
mod state;
mod token;
mod visibility;
pub(crate) mod words;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;

pub use fields::Fields;
pub use filter::EventFilter;
pub use page::{END, Page, Stretch};
pub use reading::Reading;
pub use render::{Bundles, Format};
pub use sight::{Access, Shown, Sight, Viewer};
pub use state::{Member, Members};
pub use token::Token;
pub use visibility::{HistoryVisibility, Joined, Moment, may_see};

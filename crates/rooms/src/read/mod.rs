//! Everything that is asked of rooms: their timelines as somebody may see them, their states at any point, what relates to
//! what, and how rooms look from outside.
//!
//! **Invariant.** Nothing here changes a room. The indexes that reading needs (relations, words, cards) are written by
//! `append` through functions here, in the batch of the event they follow from.
//!
//! Where to go: `reading` is a room that is being read. `visibility` has the rules of who may see an event, `sight` what these
//! need; `page` walks the timeline, `filter` says which events are asked for, `render` writes them as clients see them;
//! `state` reads states; `context` is what was said around an event, `jump` when; [`relation`] is what relates to what; `words`
//! where what was said, and `search` finds it; [`card`] is a room at a glance, and `summary`, `directory` and `hierarchy` show
//! rooms to those outside.

pub mod card;
mod context;
mod directory;
mod fields;
mod filter;
mod hierarchy;
pub(crate) mod jump;
mod page;
mod reading;
pub mod relation;
mod render;
mod search;
mod sight;
mod state;
mod summary;
mod token;
mod visibility;
pub(crate) mod words;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod visibility_tests;

pub use context::Context;
pub use directory::PublicRooms;
pub use fields::Fields;
pub use filter::EventFilter;
pub use hierarchy::{Hierarchy, HierarchyQuery, InSpace};
pub use page::{END, Page, Stretch};
pub use reading::Reading;
pub use render::{Bundles, Format};
pub use search::{Found, Hit, Search, SearchOrder};
pub use sight::{Access, Shown, Sight, Viewer};
pub use state::{Member, Members};
pub use summary::{Outside, Standing};
pub use token::Token;
pub use visibility::{HistoryVisibility, Joined, Moment, may_see};

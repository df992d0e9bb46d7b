//! Upload, download and thumbnails (<https://spec.matrix.org/v1.19/client-server-api/#content-repository>).
//!
//! **Invariant.** What is uploaded is never looked into but to make a thumbnail, and that happens beside the runtime, within
//! bounds of size, memory and number. Nothing is held in memory whole but what a thumbnail is made of.
//!
//! Where to go: [`media`] is the handle; [`upload`] takes what comes, [`create`] names it beforehand; [`content`] gives it
//! back; [`thumbnail`] makes it smaller; [`collect`] tidies up; `record` is what is stored; [`error`] what can go wrong.
//! Contents are files, named by their hash, which `storage` keeps.

pub mod collect;
pub mod content;
pub mod create;
pub mod error;
#[cfg(test)]
mod fixture;
pub mod media;
mod record;
pub mod thumbnail;
pub mod upload;

#[cfg(test)]
mod tests;

pub use content::{Content, Pieces};
pub use create::Created;
pub use error::{Error, Refusal};
pub use media::{Media, MediaOptions};
pub use thumbnail::{Method, Wanted};
pub use upload::{Described, Upload};

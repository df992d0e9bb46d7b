//! Key backups: the sessions of a user's rooms, encrypted by the user's clients so that the server cannot read them
//! (<https://spec.matrix.org/v1.19/client-server-api/#server-side-key-backups>).
//!
//! A user has versions of a backup, of which the newest takes new sessions. A session's row is filed under a number of its
//! backup, so that a backup goes by removing one row, whatever it holds. The row of a version counts its sessions and every
//! write to them moves it on: so counts are right, and its `etag` changes when what is in it does.
//!
//! Which of two uploads of a session stays, [`protocol::backup`] says.
//!
//! Where to go: `version` has the versions, `sessions` what is in them.

mod sessions;
mod version;

#[cfg(test)]
mod tests;

pub use sessions::{BackupPages, BackupSessions, SavedSession, WhichSessions};
pub use version::{BackupDescription, BackupState, BackupVersion};

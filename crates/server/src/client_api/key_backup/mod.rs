//! Key backups (<https://spec.matrix.org/v1.19/client-server-api/#server-side-key-backups>).
//!
//! Where to go: `versions` begins one and shows the current one, `version` has what is done to one; `keys`, `room` and
//! `session` are its contents at the three levels, `restore` writes them out page by page.

mod keys;
mod restore;
mod room;
mod session;
mod version;
mod versions;

#[cfg(test)]
mod tests;

use accounts::backup::{BackupDescription, BackupState};
use ruma::UInt;
use ruma::api::client::backup::BackupAlgorithm;
use ruma::serde::Raw;
use serde_json::value::RawValue;

use crate::http::{Error, Routes};

/// The routes of this area.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .add(versions::post)
        .add(versions::get)
        .add(version::get)
        .add(version::put)
        .add(version::delete)
        .add(keys::put)
        .add(keys::get)
        .add(keys::delete)
        .add(room::put)
        .add(room::get)
        .add(room::delete)
        .add(session::put)
        .add(session::get)
        .add(session::delete)
}

/// Of a backup's description what is to be stored.
fn described(body: &Raw<BackupAlgorithm>) -> Result<BackupDescription, Error> {
    let algorithm: Option<String> = field(body, "algorithm")?;
    let auth_data: Option<Box<RawValue>> = field(body, "auth_data")?;
    match (algorithm, auth_data) {
        (Some(algorithm), Some(auth_data)) => Ok(BackupDescription { algorithm, auth_data }),
        _ => Err(Error::refusal("M_BAD_JSON", "`algorithm` and `auth_data` belong in the description of a backup")),
    }
}

fn field<T: serde::de::DeserializeOwned>(body: &Raw<BackupAlgorithm>, name: &str) -> Result<Option<T>, Error> {
    body.get_field(name).map_err(|error| Error::refusal("M_BAD_JSON", format!("`{name}` is wrong: {error}")))
}

/// A backup's etag and count, as answers have them.
fn counted(state: BackupState) -> (String, UInt) {
    (state.etag, UInt::new_saturating(state.count))
}

/// Refusal: there is no such version.
fn unknown_version() -> Error {
    Error::refusal("M_NOT_FOUND", "there is no such key backup")
}

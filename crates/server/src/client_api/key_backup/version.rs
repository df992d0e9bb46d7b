//! `/_matrix/client/v3/room_keys/version/{version}`: shows, describes anew and removes a key backup
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3room_keysversionversion>).

use accounts::backup::BackupDescription;
use axum::extract::State;
use ruma::api::client::backup::{BackupAlgorithm, delete_backup_version, get_backup_info, update_backup_version};
use ruma::serde::Raw;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::{counted, described, field, unknown_version};
use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Answers with the version that is named.
pub(crate) async fn get(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<get_backup_info::v3::Request>,
) -> Result<RumaResponse<get_backup_info::v3::Response>, Error> {
    let found = state.accounts.backup(&caller.user_id, Some(&body.version)).await?.ok_or_else(unknown_version)?;
    let (algorithm, (etag, count)) = (shown(&found.description)?, counted(found.state));
    Ok(RumaResponse(get_backup_info::v3::Response::new(algorithm, count, etag, found.version)))
}

/// Describes the version anew. A body that names another version is a mistake of the client's.
pub(crate) async fn put(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<update_backup_version::v3::Request>,
) -> Result<RumaResponse<update_backup_version::v3::Response>, Error> {
    let named: Option<String> = field(&body.algorithm, "version")?;
    if named.is_some_and(|named| named != body.version) {
        return Err(Error::refusal("M_INVALID_PARAM", "the version in the body is not the one in the path"));
    }
    state.accounts.update_backup(&caller.user_id, &body.version, &described(&body.algorithm)?).await?;
    Ok(RumaResponse(update_backup_version::v3::Response::new()))
}

/// Removes the version.
pub(crate) async fn delete(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<delete_backup_version::v3::Request>,
) -> Result<RumaResponse<delete_backup_version::v3::Response>, Error> {
    state.accounts.remove_backup(&caller.user_id, &body.version).await?;
    Ok(RumaResponse(delete_backup_version::v3::Response::new()))
}

#[derive(Serialize)]
struct Algorithm<'a> {
    algorithm: &'a str,
    auth_data: &'a RawValue,
}

/// A description as ruma's answers have it.
pub(super) fn shown(description: &BackupDescription) -> Result<Raw<BackupAlgorithm>, Error> {
    let json = to_raw_value(&Algorithm { algorithm: &description.algorithm, auth_data: &description.auth_data });
    Ok(Raw::from_json(json.map_err(|error| Error::fault(&error))?))
}

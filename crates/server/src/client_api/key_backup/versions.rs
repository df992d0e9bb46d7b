//! `/_matrix/client/v3/room_keys/version`: begins a key backup and shows the current one
//! (<https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3room_keysversion>).

use axum::extract::State;
use ruma::api::client::backup::{create_backup_version, get_latest_backup_info};

use super::{counted, described, unknown_version, version};
use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Answers with the name of the new version.
pub(crate) async fn post(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<create_backup_version::v3::Request>,
) -> Result<RumaResponse<create_backup_version::v3::Response>, Error> {
    let version = state.accounts.create_backup(&caller.user_id, &described(&body.algorithm)?).await?;
    Ok(RumaResponse(create_backup_version::v3::Response::new(version)))
}

/// Answers with the current version.
pub(crate) async fn get(
    State(state): State<AppState>,
    Ruma { caller, .. }: Ruma<get_latest_backup_info::v3::Request>,
) -> Result<RumaResponse<get_latest_backup_info::v3::Response>, Error> {
    let found = state.accounts.backup(&caller.user_id, None).await?.ok_or_else(unknown_version)?;
    let (algorithm, (etag, count)) = (version::shown(&found.description)?, counted(found.state));
    Ok(RumaResponse(get_latest_backup_info::v3::Response::new(algorithm, count, etag, found.version)))
}

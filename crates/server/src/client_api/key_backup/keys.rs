//! `/_matrix/client/v3/room_keys/keys`: everything in a key backup
//! (<https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3room_keyskeys>).

use accounts::backup::WhichSessions;
use axum::extract::State;
use axum::response::Response;
use ruma::api::client::backup::{add_backup_keys, delete_backup_keys, get_backup_keys};

use super::{counted, restore};
use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Puts sessions of several rooms in.
pub(crate) async fn put(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<add_backup_keys::v3::Request>,
) -> Result<RumaResponse<add_backup_keys::v3::Response>, Error> {
    let sessions = body.rooms.into_iter().map(|(room, backup)| (room, backup.sessions)).collect();
    let saved = state.accounts.save_sessions(&caller.user_id, &body.version, &sessions).await?;
    let (etag, count) = counted(saved);
    Ok(RumaResponse(add_backup_keys::v3::Response::new(etag, count)))
}

/// Answers with all sessions, page by page.
pub(crate) async fn get(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<get_backup_keys::v3::Request>,
) -> Result<Response, Error> {
    let all = WhichSessions::All;
    let pages = state.accounts.saved_sessions(&caller.user_id, &body.version, all).await?;
    Ok(restore::by_room(pages))
}

/// Removes all sessions.
pub(crate) async fn delete(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<delete_backup_keys::v3::Request>,
) -> Result<RumaResponse<delete_backup_keys::v3::Response>, Error> {
    let all = WhichSessions::All;
    let (etag, count) = counted(state.accounts.remove_sessions(&caller.user_id, &body.version, all).await?);
    Ok(RumaResponse(delete_backup_keys::v3::Response::new(etag, count)))
}

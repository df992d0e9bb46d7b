//! `/_matrix/client/v3/room_keys/keys/{roomId}`: the sessions of a room in a key backup
//! (<https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3room_keyskeysroomid>).

use accounts::backup::WhichSessions;
use axum::extract::State;
use axum::response::Response;
use ruma::api::client::backup::{add_backup_keys_for_room, delete_backup_keys_for_room, get_backup_keys_for_room};

use super::{counted, restore};
use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Puts sessions of the room in.
pub(crate) async fn put(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<add_backup_keys_for_room::v3::Request>,
) -> Result<RumaResponse<add_backup_keys_for_room::v3::Response>, Error> {
    let sessions = [(body.room_id, body.sessions)].into();
    let saved = state.accounts.save_sessions(&caller.user_id, &body.version, &sessions).await?;
    let (etag, count) = counted(saved);
    Ok(RumaResponse(add_backup_keys_for_room::v3::Response::new(etag, count)))
}

/// Answers with the room's sessions, page by page.
pub(crate) async fn get(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<get_backup_keys_for_room::v3::Request>,
) -> Result<Response, Error> {
    let room = WhichSessions::Room(&body.room_id);
    let pages = state.accounts.saved_sessions(&caller.user_id, &body.version, room).await?;
    Ok(restore::of_room(pages))
}

/// Removes the room's sessions.
pub(crate) async fn delete(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<delete_backup_keys_for_room::v3::Request>,
) -> Result<RumaResponse<delete_backup_keys_for_room::v3::Response>, Error> {
    let room = WhichSessions::Room(&body.room_id);
    let (etag, count) = counted(state.accounts.remove_sessions(&caller.user_id, &body.version, room).await?);
    Ok(RumaResponse(delete_backup_keys_for_room::v3::Response::new(etag, count)))
}

//! `/_matrix/client/v3/room_keys/keys/{roomId}/{sessionId}`: one session in a key backup
//! (<https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3room_keyskeysroomidsessionid>).

use accounts::backup::WhichSessions;
use axum::extract::State;
use ruma::api::client::backup::{
    add_backup_keys_for_session, delete_backup_keys_for_session, get_backup_keys_for_session,
};
use ruma::serde::Raw;

use super::counted;
use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Puts the session in.
pub(crate) async fn put(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<add_backup_keys_for_session::v3::Request>,
) -> Result<RumaResponse<add_backup_keys_for_session::v3::Response>, Error> {
    let sessions = [(body.room_id, [(body.session_id, body.session_data)].into())].into();
    let saved = state.accounts.save_sessions(&caller.user_id, &body.version, &sessions).await?;
    let (etag, count) = counted(saved);
    Ok(RumaResponse(add_backup_keys_for_session::v3::Response::new(etag, count)))
}

/// Answers with the session.
pub(crate) async fn get(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<get_backup_keys_for_session::v3::Request>,
) -> Result<RumaResponse<get_backup_keys_for_session::v3::Response>, Error> {
    let (room, session) = (&body.room_id, &body.session_id);
    let found = state.accounts.saved_session(&caller.user_id, &body.version, room, session).await?;
    let found = found.ok_or_else(|| Error::refusal("M_NOT_FOUND", "the session is not in this key backup"))?;
    Ok(RumaResponse(get_backup_keys_for_session::v3::Response::new(Raw::from_json(found))))
}

/// Removes the session.
pub(crate) async fn delete(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<delete_backup_keys_for_session::v3::Request>,
) -> Result<RumaResponse<delete_backup_keys_for_session::v3::Response>, Error> {
    let session = WhichSessions::One(&body.room_id, &body.session_id);
    let (etag, count) = counted(state.accounts.remove_sessions(&caller.user_id, &body.version, session).await?);
    Ok(RumaResponse(delete_backup_keys_for_session::v3::Response::new(etag, count)))
}

//! `GET /rooms/{roomId}/state`: the state, now or as it was when the user left
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidstate>).

use axum::extract::State;
use rooms::read::Members;
use ruma::api::client::state::get_state_events::v3::{Request, Response};

use super::eyes::raw;
use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Answers with all of it.
pub(crate) async fn get(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<Request>,
) -> Result<RumaResponse<Response>, Error> {
    let (mut room, access) = state.rooms.readable(&body.room_id, &caller.user_id).await?;
    let root = room.state_for(access).await?;
    let events = room.state_events(root, Members::All).await?;
    Ok(RumaResponse(Response::new(raw(room.render_state(&events, true).await?))))
}

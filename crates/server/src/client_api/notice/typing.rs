//! `PUT /_matrix/client/v3/rooms/{roomId}/typing/{userId}`: somebody types
//! (<https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3roomsroomidtypinguserid>).

use axum::extract::State;
use ruma::api::client::typing::create_typing_event::v3::{Request, Response, Typing};

use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Notes that the caller types, or does not.
pub(crate) async fn put(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<Request>,
) -> Result<RumaResponse<Response>, Error> {
    caller.must_be(&body.user_id)?;
    let timeout = match body.state {
        Typing::Yes(info) => Some(info.timeout),
        Typing::No => None,
    };
    state.rooms.types(&body.room_id, &caller.user_id, timeout).await?;
    Ok(RumaResponse(Response::new()))
}

//! `POST /_matrix/client/v3/rooms/{roomId}/forget`
//! (<https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidforget>).

use axum::extract::State;
use ruma::api::client::membership::forget_room::v3::{Request, Response};

use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Forgets a room that was left.
pub(crate) async fn post(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<Request>,
) -> Result<RumaResponse<Response>, Error> {
    if state.rooms.forget(&body.room_id, &caller.user_id).await? {
        // Nobody waits for what nobody sees any more; what is cut off is done at the next start.
        base::task::spawn(async move {
            if let Err(error) = state.rooms.finish_purges().await {
                tracing::warn!(%error, "a room that everybody has forgotten could not be removed");
            }
        });
    }
    Ok(RumaResponse(Response::new()))
}

//! `GET /joined_rooms`: where the user is
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3joined_rooms>).

use axum::extract::State;
use ruma::api::client::membership::joined_rooms::v3::{Request, Response};

use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Answers with the rooms.
pub(crate) async fn get(
    State(state): State<AppState>,
    Ruma { caller, .. }: Ruma<Request>,
) -> Result<RumaResponse<Response>, Error> {
    Ok(RumaResponse(Response::new(state.rooms.joined_rooms(&caller.user_id).await?)))
}

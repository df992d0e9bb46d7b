//! `GET /directory/list/room/{roomId}`: whether a room is in the list of public rooms
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3directorylistroomroomid>).

use axum::extract::State;
use ruma::api::client::directory::get_room_visibility::v3::{Request, Response};
use ruma::api::client::room::Visibility;

use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Answers `public` or `private`.
pub(crate) async fn get(
    State(state): State<AppState>,
    Ruma { body, .. }: Ruma<Request>,
) -> Result<RumaResponse<Response>, Error> {
    let room = state.rooms.number_of(&body.room_id).await?;
    let listed = rooms::act::is_listed(&state.store, room).await?;
    Ok(RumaResponse(Response::new(if listed { Visibility::Public } else { Visibility::Private })))
}

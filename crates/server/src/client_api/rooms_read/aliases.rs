//! `GET /rooms/{roomId}/aliases`: the aliases of this server that lead to a room
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidaliases>).

use axum::extract::State;
use ruma::api::client::room::aliases::v3::{Request, Response};

use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Answers with them, to those who are in the room, or may read it.
pub(crate) async fn get(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<Request>,
) -> Result<RumaResponse<Response>, Error> {
    let (room, _) = state.rooms.readable(&body.room_id, &caller.user_id).await?;
    let aliases = state.rooms.aliases(room.number()).await?;
    Ok(RumaResponse(Response::new(aliases.into_iter().map(|alias| alias.alias).collect())))
}

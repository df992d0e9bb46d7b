//! `GET /directory/room/{roomAlias}`: where an alias leads
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3directoryroomroomalias>).

use axum::extract::State;
use ruma::api::client::alias::get_alias::v3::{Request, Response};

use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Answers with the room, and with servers that are in it.
pub(crate) async fn get(
    State(state): State<AppState>,
    Ruma { body, .. }: Ruma<Request>,
) -> Result<RumaResponse<Response>, Error> {
    let alias = state.rooms.alias(&body.room_alias).await?;
    let alias = alias.ok_or_else(|| Error::refusal("M_NOT_FOUND", "the alias leads to no room that is known here"))?;
    let servers = state.rooms.servers_of(alias.room).await?;
    Ok(RumaResponse(Response::new(alias.room_id, servers)))
}

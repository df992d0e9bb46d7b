//! `GET /rooms/{roomId}/state/{eventType}/{stateKey}`: one entry of the state
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidstateeventtypestatekey>).

use axum::extract::State;
use rooms::Refusal;
use rooms::read::Fields;
use ruma::api::client::state::get_state_event_for_key::v3::{Request, Response, StateEventFormat};

use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Where it is for an empty key.
pub(crate) const WITHOUT_KEY: [&str; 4] = [
    "/_matrix/client/v3/rooms/{room_id}/state/{event_type}",
    "/_matrix/client/v3/rooms/{room_id}/state/{event_type}/",
    "/_matrix/client/r0/rooms/{room_id}/state/{event_type}",
    "/_matrix/client/r0/rooms/{room_id}/state/{event_type}/",
];

/// Answers with its content, or with the event.
pub(crate) async fn get(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<Request>,
) -> Result<RumaResponse<Response>, Error> {
    let (mut room, access) = state.rooms.readable(&body.room_id, &caller.user_id).await?;
    let root = room.state_for(access).await?;
    let stored = room.state_event(root, body.event_type, &body.state_key).await?.ok_or(Refusal::NoSuchEvent)?;
    let answer = match body.format {
        StateEventFormat::Event => room.render_state(&[stored], true).await?.pop().ok_or(Refusal::NoSuchEvent)?,
        _ => Fields::of(&stored.json)?.content.to_owned(),
    };
    Ok(RumaResponse(Response::new(answer)))
}

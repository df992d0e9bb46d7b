//! `GET /rooms/{roomId}/event/{eventId}`: one event
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomideventeventid>).

use axum::extract::State;
use rooms::Refusal;
use rooms::read::Format;
use ruma::api::client::room::get_room_event::v3::{Request, Response};
use ruma::serde::Raw;

use super::eyes::Eyes;
use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Answers with the event. Who may not see it is told that it is not there.
pub(crate) async fn get(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<Request>,
) -> Result<RumaResponse<Response>, Error> {
    let eyes = Eyes::of(&state, &caller).await?;
    let mut room = state.rooms.read(&body.room_id).await?.ok_or(Refusal::NoSuchEvent)?;
    let event = room.visible_event(&eyes.viewer(), &body.event_id).await?.ok_or(Refusal::NoSuchEvent)?;
    let event = room.render(&eyes.viewer(), &[event], Format::CLIENT).await?.pop().ok_or(Refusal::NoSuchEvent)?;
    Ok(RumaResponse(Response::new(Raw::from_json(event))))
}

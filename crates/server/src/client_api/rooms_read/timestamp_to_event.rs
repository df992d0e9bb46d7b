//! `GET /rooms/{roomId}/timestamp_to_event`: the event closest to a time
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidtimestamp_to_event>).

use axum::extract::State;
use rooms::Refusal;
use rooms::read::Fields;
use ruma::MilliSecondsSinceUnixEpoch;
use ruma::UInt;
use ruma::api::client::room::get_event_by_timestamp::v1::{Request, Response};

use super::eyes::{Eyes, direction};
use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Answers with its id and time.
pub(crate) async fn get(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<Request>,
) -> Result<RumaResponse<Response>, Error> {
    let eyes = Eyes::of(&state, &caller).await?;
    let (mut room, _) = state.rooms.readable(&body.room_id, &caller.user_id).await?;
    let found = room.closest(&eyes.viewer(), body.ts.get().into(), direction(body.dir)).await?;
    let found = found.ok_or(Refusal::NoSuchEvent)?;
    let at = UInt::try_from(Fields::of(&found.stored.json)?.origin_server_ts).unwrap_or(UInt::MAX);
    Ok(RumaResponse(Response::new(found.stored.facts.id, MilliSecondsSinceUnixEpoch(at))))
}

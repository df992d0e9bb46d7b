//! `GET` and `POST /publicRooms`: the list of public rooms
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3publicrooms>).

use axum::extract::State;
use rooms::Refusal;
use rooms::read::PublicRooms;
use ruma::api::client::directory::{get_public_rooms, get_public_rooms_filtered};
use ruma::directory::{Filter, RoomNetwork};
use ruma::{ServerName, UInt};

use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Answers with a page of it, to everybody.
pub(crate) async fn get(
    State(state): State<AppState>,
    Ruma { body, .. }: Ruma<get_public_rooms::v3::Request>,
) -> Result<RumaResponse<get_public_rooms::v3::Response>, Error> {
    must_be_here(&state, body.server.as_deref())?;
    let filter = Filter::default();
    let PublicRooms { rooms, next, before, count } =
        state.rooms.public_rooms(&filter, body.since.as_deref(), body.limit.map(u64::from)).await?;
    let mut response = get_public_rooms::v3::Response::new(rooms.into_iter().map(Into::into).collect());
    (response.next_batch, response.prev_batch) = (next, before);
    response.total_room_count_estimate = UInt::try_from(count).ok();
    Ok(RumaResponse(response))
}

/// Answers with a page of those that are looked for.
pub(crate) async fn post(
    State(state): State<AppState>,
    Ruma { body, .. }: Ruma<get_public_rooms_filtered::v3::Request>,
) -> Result<RumaResponse<get_public_rooms_filtered::v3::Response>, Error> {
    must_be_here(&state, body.server.as_deref())?;
    let mut response = get_public_rooms_filtered::v3::Response::default();
    // Other networks come with application services; there are none.
    if matches!(body.room_network, RoomNetwork::ThirdParty(_)) {
        return Ok(RumaResponse(response));
    }
    let PublicRooms { rooms, next, before, count } =
        state.rooms.public_rooms(&body.filter, body.since.as_deref(), body.limit.map(u64::from)).await?;
    response.chunk = rooms.into_iter().map(Into::into).collect();
    (response.next_batch, response.prev_batch) = (next, before);
    response.total_room_count_estimate = UInt::try_from(count).ok();
    Ok(RumaResponse(response))
}

fn must_be_here(state: &AppState, server: Option<&ServerName>) -> Result<(), Refusal> {
    match server {
        Some(server) if server != state.server_name() => Err(Refusal::NeedsFederation),
        _ => Ok(()),
    }
}

//! `GET` and `PUT /_matrix/client/v3/directory/list/room/{roomId}`
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3directorylistroomroomid>).

use axum::extract::State;
use ruma::api::client::directory::{get_room_visibility, set_room_visibility};
use ruma::api::client::room::Visibility;

use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Tells whether a room is in the public list.
pub(crate) async fn get(
    State(state): State<AppState>,
    Ruma { body, .. }: Ruma<get_room_visibility::v3::Request>,
) -> Result<RumaResponse<get_room_visibility::v3::Response>, Error> {
    let listed = state.rooms.is_listed(&body.room_id).await?;
    let visibility = if listed { Visibility::Public } else { Visibility::Private };
    Ok(RumaResponse(get_room_visibility::v3::Response::new(visibility)))
}

/// Puts a room into the public list, or takes it out.
pub(crate) async fn put(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<set_room_visibility::v3::Request>,
) -> Result<RumaResponse<set_room_visibility::v3::Response>, Error> {
    caller.may_act()?;
    let listed = body.visibility == Visibility::Public;
    state.rooms.set_listed(&body.room_id, &caller.user_id, caller.is_admin, listed).await?;
    Ok(RumaResponse(set_room_visibility::v3::Response::new()))
}

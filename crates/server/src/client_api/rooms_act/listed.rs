//! `PUT /_matrix/client/v3/directory/list/room/{roomId}`
//! (<https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3directorylistroomroomid>).

use axum::extract::State;
use ruma::api::client::directory::set_room_visibility;
use ruma::api::client::room::Visibility;

use crate::http::{AppState, Error, Ruma, RumaResponse};

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

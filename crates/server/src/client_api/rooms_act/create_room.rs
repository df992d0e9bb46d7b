//! `POST /_matrix/client/v3/createRoom` (<https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3createroom>).

use axum::extract::State;
use rooms::act::NewRoom;
use ruma::api::client::room::create_room::v3::{Request, Response};

use super::profile;
use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Makes a room.
pub(crate) async fn post(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<Request>,
) -> Result<RumaResponse<Response>, Error> {
    caller.is_no_guest()?;
    caller.may_act()?;
    let mut new = NewRoom::new(&*caller.user_id, body);
    for user in new.request.invite.iter().take(base::limits::ROOM_INITIAL_EVENTS).chain([&caller.user_id]) {
        new.profiles.insert(user.clone(), profile::of(&state, user).await?);
    }
    let room = state.rooms.create(&new).await?;
    Ok(RumaResponse(Response::new(room)))
}

//! `GET`, `PUT /_matrix/client/v3/presence/{userId}/status`
//! (<https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3presenceuseridstatus>).

use axum::extract::State;
use ruma::api::client::presence::{get_presence, set_presence};

use crate::client_api::directory;
use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Answers whether a user is here, to those who share a room with it.
pub(crate) async fn get(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<get_presence::v3::Request>,
) -> Result<RumaResponse<get_presence::v3::Response>, Error> {
    if !directory::share_a_room(&state, &caller.user_id, &body.user_id).await? {
        return Err(Error::refusal("M_FORBIDDEN", "you share no room with this user"));
    }
    let presence = state.accounts.presence().of(&body.user_id);
    let mut response = get_presence::v3::Response::new(presence.state);
    response.status_msg = presence.status_msg;
    response.last_active_ago = presence.last_active_ago;
    response.currently_active = Some(presence.currently_active);
    Ok(RumaResponse(response))
}

/// Says whether the caller is here.
pub(crate) async fn put(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<set_presence::v3::Request>,
) -> Result<RumaResponse<set_presence::v3::Response>, Error> {
    caller.must_be(&body.user_id)?;
    caller.may_act()?;
    state.accounts.presence().set(&caller.user_id, body.presence, body.status_msg)?;
    Ok(RumaResponse(set_presence::v3::Response::new()))
}

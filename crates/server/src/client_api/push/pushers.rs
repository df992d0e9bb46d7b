//! `GET /_matrix/client/v3/pushers` and `POST /_matrix/client/v3/pushers/set`: where a user is notified
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3pushers>).

use accounts::pushers::Others;
use axum::extract::State;
use ruma::api::client::push::set_pusher::v3::PusherAction;
use ruma::api::client::push::{get_pushers, set_pusher};

use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Answers with the caller's pushers.
pub(crate) async fn get(
    State(state): State<AppState>,
    Ruma { caller, .. }: Ruma<get_pushers::v3::Request>,
) -> Result<RumaResponse<get_pushers::v3::Response>, Error> {
    let pushers = state.accounts.pushers(&caller.user_id).await?;
    let pushers = pushers.into_iter().map(|pusher| pusher.data).collect();
    Ok(RumaResponse(get_pushers::v3::Response::new(pushers)))
}

/// Makes, changes or removes a pusher.
pub(crate) async fn post(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<set_pusher::v3::Request>,
) -> Result<RumaResponse<set_pusher::v3::Response>, Error> {
    match body.action {
        PusherAction::Post(data) => {
            let others = if data.append { Others::Stay } else { Others::Go };
            state.accounts.set_pusher(&caller.user_id, &caller.device_id, data.pusher, others).await?;
        }
        PusherAction::Delete(ids) => state.accounts.remove_pusher(&caller.user_id, &ids).await?,
        _ => return Err(Error::refusal("M_UNRECOGNIZED", "pushers are made, changed and removed")),
    }
    Ok(RumaResponse(set_pusher::v3::Response::new()))
}

//! `GET`, `PUT /_matrix/client/v1/admin/suspend/{userId}`: lets a user read and not act
//! (<https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv1adminsuspenduserid>).

use axum::extract::State;
use ruma::api::client::admin::{is_user_suspended, suspend_user};

use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Answers whether the user is.
pub(crate) async fn get(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<is_user_suspended::v1::Request>,
) -> Result<RumaResponse<is_user_suspended::v1::Response>, Error> {
    let standing = state.accounts.standing(&caller, &body.user_id).await?;
    Ok(RumaResponse(is_user_suspended::v1::Response::new(standing.suspended)))
}

/// Makes it so, or not any more.
pub(crate) async fn put(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<suspend_user::v1::Request>,
) -> Result<RumaResponse<suspend_user::v1::Response>, Error> {
    state.accounts.set_suspended(&caller, &body.user_id, body.suspended).await?;
    Ok(RumaResponse(suspend_user::v1::Response::new(body.suspended)))
}

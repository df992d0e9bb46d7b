//! `GET`, `PUT /_matrix/client/v1/admin/lock/{userId}`: shuts a user out
//! (<https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv1adminlockuserid>).

use axum::extract::State;
use ruma::api::client::admin::{is_user_locked, lock_user};

use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Answers whether the user is.
pub(crate) async fn get(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<is_user_locked::v1::Request>,
) -> Result<RumaResponse<is_user_locked::v1::Response>, Error> {
    let standing = state.accounts.standing(&caller, &body.user_id).await?;
    Ok(RumaResponse(is_user_locked::v1::Response::new(standing.locked)))
}

/// Makes it so, or not any more.
pub(crate) async fn put(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<lock_user::v1::Request>,
) -> Result<RumaResponse<lock_user::v1::Response>, Error> {
    state.accounts.set_locked(&caller, &body.user_id, body.locked).await?;
    Ok(RumaResponse(lock_user::v1::Response::new(body.locked)))
}

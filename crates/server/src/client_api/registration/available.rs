//! `GET /_matrix/client/v3/register/available`: whether a user name may be had
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3registeravailable>).

use axum::extract::State;
use ruma::api::client::account::get_username_availability::v3::{Request, Response};

use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Answers with `true`, or why not.
pub(crate) async fn get(
    State(state): State<AppState>,
    Ruma { body, .. }: Ruma<Request>,
) -> Result<RumaResponse<Response>, Error> {
    state.accounts.check_available(&body.username).await?;
    Ok(RumaResponse(Response::new(true)))
}

//! `GET /_matrix/client/v1/register/m.login.registration_token/validity`: whether an account may be made with a token
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1registermloginregistration_tokenvalidity>).

use axum::extract::State;
use ruma::api::client::account::check_registration_token_validity::v1::{Request, Response};

use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Answers whether it may be used now.
pub(crate) async fn get(
    State(state): State<AppState>,
    Ruma { body, .. }: Ruma<Request>,
) -> Result<RumaResponse<Response>, Error> {
    Ok(RumaResponse(Response::new(state.accounts.registration_token_is_valid(&body.token).await?)))
}

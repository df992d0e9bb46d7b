//! `POST /_matrix/client/v3/refresh`: new tokens for a refresh token
//! (<https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3refresh>).

use axum::extract::State;
use ruma::api::client::session::refresh_token::v3::{Request, Response};

use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Gives new tokens; the old ones are good until one of these is used.
pub(crate) async fn post(
    State(state): State<AppState>,
    Ruma { body, .. }: Ruma<Request>,
) -> Result<RumaResponse<Response>, Error> {
    let renewed = state.accounts.refresh(&body.refresh_token).await?;
    let mut response = Response::new(renewed.access_token);
    response.refresh_token = renewed.refresh_token;
    response.expires_in_ms = renewed.expires_in;
    Ok(RumaResponse(response))
}

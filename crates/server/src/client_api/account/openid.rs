//! `POST /_matrix/client/v3/user/{userId}/openid/request_token`: a token that tells others who one is
//! (<https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3useruseridopenidrequest_token>).

use axum::extract::State;
use base::limits;
use ruma::api::client::account::request_openid_token::v3::{Request, Response};
use ruma::authentication::TokenType;

use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Gives a token for the caller's own id.
pub(crate) async fn post(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<Request>,
) -> Result<RumaResponse<Response>, Error> {
    caller.must_be(&body.user_id)?;
    let token = state.accounts.openid_token(&caller.user_id).await?;
    let server = state.server_name().to_owned();
    Ok(RumaResponse(Response::new(token, TokenType::Bearer, server, limits::OPENID_TOKEN_LIFETIME)))
}

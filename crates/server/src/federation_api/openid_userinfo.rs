//! `GET /_matrix/federation/v1/openid/userinfo`: whose an OpenID token is
//! (<https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1openiduserinfo>). Third parties ask, who are no
//! servers, so nothing is signed.

use axum::extract::State;
use ruma::api::federation::openid::get_openid_userinfo::v1::{Request, Response};

use crate::http::errors::SoftLogout;
use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Answers with the user.
pub(crate) async fn get(
    State(state): State<AppState>,
    Ruma { body, .. }: Ruma<Request>,
) -> Result<RumaResponse<Response>, Error> {
    let user = state.accounts.user_of_openid_token(&body.access_token).await?;
    user.map(|user| RumaResponse(Response::new(user))).ok_or_else(|| Error::unknown_token(SoftLogout::No))
}

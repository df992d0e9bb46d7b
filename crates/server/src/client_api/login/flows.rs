//! `GET /_matrix/client/v3/login`: how one can log in
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3login>).

use ruma::api::client::session::get_login_types::v3::{
    LoginType, PasswordLoginType, Request, Response, TokenLoginType,
};

use crate::http::{Error, Ruma, RumaResponse};

/// Answers with passwords, and tokens that a session that is logged in gets for another device.
pub(crate) async fn get(_: Ruma<Request>) -> Result<RumaResponse<Response>, Error> {
    let mut token = TokenLoginType::new();
    token.get_login_token = true;
    let flows = vec![LoginType::Password(PasswordLoginType::new()), LoginType::Token(token)];
    Ok(RumaResponse(Response::new(flows)))
}

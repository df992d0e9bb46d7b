//! Addresses and telephone numbers beside an account
//! (<https://spec.matrix.org/v1.19/client-server-api/#adding-account-administrative-contact-information>). This server keeps
//! none and asks no identity server: nobody has one, and none can be added. Answers are those that Synapse gives when it
//! neither sends mail nor messages.

use accounts::Refusal;
use axum::Json;
use axum::http::Method;
use ruma::api::client::account::{
    ThirdPartyIdRemovalStatus, add_3pid, bind_3pid, delete_3pid, get_3pids, request_3pid_management_token_via_email,
    request_3pid_management_token_via_msisdn, request_password_change_token_via_email,
    request_password_change_token_via_msisdn, request_registration_token_via_email,
    request_registration_token_via_msisdn, unbind_3pid,
};
use serde_json::{Value, json};

use crate::http::{Caller, Error, Routes, Ruma, RumaResponse};

/// The endpoints.
pub(super) fn routes() -> Routes {
    Routes::new()
        .add(list)
        .add(add)
        .at(Method::POST, &["/_matrix/client/v3/account/3pid", "/_matrix/client/r0/account/3pid"], add_in_the_old_way)
        .add(bind)
        .add(delete)
        .add(unbind)
        .add(mail_for_account)
        .add(message_for_account)
        .add(mail_for_password)
        .add(message_for_password)
        .add(mail_for_registration)
        .add(message_for_registration)
}

fn denied() -> Error {
    Refusal::ThirdPartyDenied.into()
}

/// Ruma's answer leaves an empty list out, and clients stumble over that.
async fn list(_: Ruma<get_3pids::v3::Request>) -> Result<Json<Value>, Error> {
    Ok(Json(json!({ "threepids": [] })))
}

async fn add(_: Ruma<add_3pid::v3::Request>) -> Result<RumaResponse<add_3pid::v3::Response>, Error> {
    Err(denied())
}

async fn add_in_the_old_way(_: Caller) -> Error {
    denied()
}

async fn bind(_: Ruma<bind_3pid::v3::Request>) -> Result<RumaResponse<bind_3pid::v3::Response>, Error> {
    Err(denied())
}

/// What is not there is deleted already.
async fn delete(_: Ruma<delete_3pid::v3::Request>) -> Result<RumaResponse<delete_3pid::v3::Response>, Error> {
    Ok(RumaResponse(delete_3pid::v3::Response::new(ThirdPartyIdRemovalStatus::NoSupport)))
}

async fn unbind(_: Ruma<unbind_3pid::v3::Request>) -> Result<RumaResponse<unbind_3pid::v3::Response>, Error> {
    Ok(RumaResponse(unbind_3pid::v3::Response::new(ThirdPartyIdRemovalStatus::NoSupport)))
}

async fn mail_for_account(
    _: Ruma<request_3pid_management_token_via_email::v3::Request>,
) -> Result<RumaResponse<request_3pid_management_token_via_email::v3::Response>, Error> {
    Err(denied())
}

async fn message_for_account(
    _: Ruma<request_3pid_management_token_via_msisdn::v3::Request>,
) -> Result<RumaResponse<request_3pid_management_token_via_msisdn::v3::Response>, Error> {
    Err(denied())
}

async fn mail_for_password(
    _: Ruma<request_password_change_token_via_email::v3::Request>,
) -> Result<RumaResponse<request_password_change_token_via_email::v3::Response>, Error> {
    Err(denied())
}

async fn message_for_password(
    _: Ruma<request_password_change_token_via_msisdn::v3::Request>,
) -> Result<RumaResponse<request_password_change_token_via_msisdn::v3::Response>, Error> {
    Err(denied())
}

async fn mail_for_registration(
    _: Ruma<request_registration_token_via_email::v3::Request>,
) -> Result<RumaResponse<request_registration_token_via_email::v3::Response>, Error> {
    Err(denied())
}

async fn message_for_registration(
    _: Ruma<request_registration_token_via_msisdn::v3::Request>,
) -> Result<RumaResponse<request_registration_token_via_msisdn::v3::Response>, Error> {
    Err(denied())
}

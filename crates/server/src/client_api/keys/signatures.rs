//! `POST /_matrix/client/v3/keys/signatures/upload`: takes in what the caller signed
//! (<https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keyssignaturesupload>).

use std::collections::BTreeMap;

use accounts::keys::SignatureFailure;
use axum::extract::State;
use ruma::api::client::keys::upload_signatures::v3::{Failure, Request, Response};
use serde_json::json;

use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Answers with what was not taken, and why.
pub(crate) async fn post(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<Request>,
) -> Result<RumaResponse<Response>, Error> {
    let failures = state.accounts.upload_signatures(&caller.user_id, &body.signed_keys).await?;
    let mut response = Response::new();
    for (user, failures) in failures {
        let failures: Result<BTreeMap<String, Failure>, Error> =
            failures.into_iter().map(|(key_id, failure)| Ok((key_id, told(&failure)?))).collect();
        response.failures.insert(user, failures?);
    }
    Ok(RumaResponse(response))
}

/// The only way to make ruma's type of it is to read it.
fn told(failure: &SignatureFailure) -> Result<Failure, Error> {
    let failure = json!({ "errcode": failure.code, "error": failure.error });
    serde_json::from_value(failure).map_err(|error| Error::fault(&error))
}

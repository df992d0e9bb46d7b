//! `POST /_matrix/client/v3/keys/claim`: gives out one-time keys
//! (<https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysclaim>).

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use ruma::OwnedServerName;
use ruma::api::client::keys::claim_keys::v3::{Request, Response};
use serde_json::{Value, json};

use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Answers with a key for each device that has one.
pub(crate) async fn post(
    State(state): State<AppState>,
    Ruma { body, .. }: Ruma<Request>,
) -> Result<RumaResponse<Response>, Error> {
    let claimed = state.accounts.claim_keys(&body.one_time_keys).await?;
    let mut response = Response::new(claimed.keys);
    response.failures = failures(&claimed.not_asked);
    Ok(RumaResponse(response))
}

/// What a client is told of servers that were not asked. The specification leaves the form open; it is that of an error.
pub(super) fn failures(servers: &BTreeSet<OwnedServerName>) -> BTreeMap<String, Value> {
    let failure = json!({ "errcode": "M_UNREACHABLE", "error": "this server does not speak with other servers" });
    servers.iter().map(|server| (server.to_string(), failure.clone())).collect()
}

//! `GET /.well-known/matrix/client`: where clients find this server
//! (<https://spec.matrix.org/v1.19/client-server-api/#getwell-knownmatrixclient>).

use axum::extract::State;
use ruma::api::client::discovery::discover_homeserver::{HomeserverInfo, Request, Response};

use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Answers with the configured address.
pub(crate) async fn get(State(state): State<AppState>, _: Ruma<Request>) -> Result<RumaResponse<Response>, Error> {
    let Some(address) = state.config.client_address.clone() else {
        return Err(Error::refusal("M_NOT_FOUND", "this server does not say where clients reach it"));
    };
    Ok(RumaResponse(Response::new(HomeserverInfo::new(address))))
}

//! `GET /health`: for load balancers and supervisors. 200 while the server answers requests, also when it takes nothing
//! new; 503 when it cannot do its work.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use super::Health;
use crate::http::{AppState, errors};

/// What `/health` answers.
#[derive(Debug, Serialize)]
pub(crate) struct Body {
    status: Health,
}

/// Answers with the current state.
pub(crate) async fn get(State(state): State<AppState>) -> (StatusCode, Json<Body>) {
    let status = state.health.current();
    (errors::health_status(status), Json(Body { status }))
}

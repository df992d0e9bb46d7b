//! `GET /_matrix/client/v3/sync`: what has happened since the client's token, or, if nothing has, what does next
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3sync>).

use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use ruma::presence::PresenceState;
use serde::Deserialize;
use sync::{Viewer, WhichState};

use crate::http::{AppState, Caller, Error, Query};

/// The query.
#[derive(Debug, Deserialize)]
pub(crate) struct Asked {
    filter: Option<String>,
    since: Option<String>,
    #[serde(default)]
    full_state: bool,
    #[serde(default)]
    set_presence: PresenceState,
    /// In milliseconds.
    #[serde(default)]
    timeout: u64,
    #[serde(default)]
    use_state_after: bool,
    #[serde(default, rename = "org.matrix.msc4222.use_state_after")]
    use_state_after_unstable: bool,
}

/// Answers with JSON that is written already.
pub(crate) async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Query(asked): Query<Asked>,
) -> Result<impl IntoResponse, Error> {
    let viewer = Viewer { user: caller.user_id.clone(), device: caller.device_id.clone() };
    // Apart, and gone before a long poll waits.
    let mut request = Box::pin(state.syncer.request(&viewer.user, asked.filter.as_deref())).await?;
    request.since = asked.since;
    request.full_state = asked.full_state;
    request.state = match (asked.use_state_after, asked.use_state_after_unstable) {
        (true, _) => WhichState::After,
        (_, true) => WhichState::AfterUnstable,
        _ => WhichState::Before,
    };
    request.set_presence = asked.set_presence;
    request.timeout = Duration::from_millis(asked.timeout);
    let answer = state.syncer.sync(viewer, request).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], answer))
}

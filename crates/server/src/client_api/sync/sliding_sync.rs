//! `POST /_matrix/client/v4/sync`: simplified sliding sync, also on the path that its proposal has before it is accepted
//! (<https://github.com/matrix-org/matrix-spec-proposals/pull/4186>).

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use sync::{Body, SlidingQuery, SlidingRequest, Viewer};

use crate::http::{AppState, Caller, Error, JsonBody, Query};

/// Answers with JSON that is written already.
pub(crate) async fn post(
    State(state): State<AppState>,
    caller: Caller,
    Query(query): Query<SlidingQuery>,
    JsonBody(body): JsonBody<Body>,
) -> Result<impl IntoResponse, Error> {
    let viewer = Viewer { user: caller.user_id.clone(), device: caller.device_id.clone() };
    let request = SlidingRequest::new(query, body).map_err(sync::Error::from)?;
    let answer = state.syncer.sliding(viewer, request).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], answer))
}

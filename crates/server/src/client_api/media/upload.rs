//! `POST /_matrix/media/v3/upload`: takes a content and names it
//! (<https://spec.matrix.org/v1.19/client-server-api/#post_matrixmediav3upload>).

use axum::Json;
use axum::extract::{Request, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::receive;
use crate::http::{AppState, Caller, Error, Query};

/// What the query says of a content.
#[derive(Debug, Deserialize)]
pub(crate) struct Params {
    pub(crate) filename: Option<String>,
}

/// Answers with the content's name.
pub(crate) async fn post(
    State(state): State<AppState>,
    caller: Caller,
    Query(params): Query<Params>,
    request: Request,
) -> Result<Json<Value>, Error> {
    let length = receive::length(request.headers());
    let upload = state.media.begin(&caller.user_id, length).await?;
    let uri = receive::all(&state, upload, params.filename, request).await?;
    Ok(Json(json!({ "content_uri": uri })))
}

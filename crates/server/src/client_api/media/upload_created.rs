//! `PUT /_matrix/media/v3/upload/{serverName}/{mediaId}`: takes the content of media that was created before
//! (<https://spec.matrix.org/v1.19/client-server-api/#put_matrixmediav3uploadservernamemediaid>).

use axum::Json;
use axum::extract::{Request, State};
use ruma::OwnedServerName;
use serde_json::{Value, json};

use super::receive;
use super::upload::Params;
use crate::http::{AppState, Caller, Error, Path, Query};

/// Answers when the content is there.
pub(crate) async fn put(
    State(state): State<AppState>,
    caller: Caller,
    Path((server, id)): Path<(OwnedServerName, String)>,
    Query(params): Query<Params>,
    request: Request,
) -> Result<Json<Value>, Error> {
    let length = receive::length(request.headers());
    let upload = state.media.begin_created(&caller.user_id, &server, &id, length).await?;
    receive::all(&state, upload, params.filename, request).await?;
    Ok(Json(json!({})))
}

//! `GET /_matrix/client/v1/media/config`: how much may be uploaded
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediaconfig>).

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::http::{AppState, Caller};

/// Answers with the largest size of a content.
pub(crate) async fn get(State(state): State<AppState>, _: Caller) -> Json<Value> {
    Json(json!({ "m.upload.size": state.config.media.max_upload_bytes }))
}

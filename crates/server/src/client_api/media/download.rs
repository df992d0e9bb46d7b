//! `GET /_matrix/client/v1/media/download/{serverName}/{mediaId}` and the same with a file name: gives a content back
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediadownloadservernamemediaid>).

use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use base::limits;
use ruma::OwnedServerName;
use serde::Deserialize;

use super::send;
use crate::http::{AppState, Caller, Error, Path, Query};

/// How long to wait for a content that is not there yet.
#[derive(Debug, Deserialize)]
pub(crate) struct Patience {
    timeout_ms: Option<u64>,
}

impl Patience {
    /// The wait that was asked for, or the usual one.
    pub(super) fn duration(&self) -> Duration {
        self.timeout_ms.map_or(limits::MEDIA_WAIT, Duration::from_millis)
    }
}

/// Answers with the content under the name that its uploader gave it.
pub(crate) async fn get(
    State(state): State<AppState>,
    _: Caller,
    Path((server, id)): Path<(OwnedServerName, String)>,
    Query(patience): Query<Patience>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let content = state.media.content(&server, &id, patience.duration()).await?;
    send::content(content, &headers)
}

/// Answers with the content under the name in the path.
pub(crate) async fn get_as(
    State(state): State<AppState>,
    _: Caller,
    Path((server, id, name)): Path<(OwnedServerName, String, String)>,
    Query(patience): Query<Patience>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let mut content = state.media.content(&server, &id, patience.duration()).await?;
    content.filename = Some(name);
    send::content(content, &headers)
}

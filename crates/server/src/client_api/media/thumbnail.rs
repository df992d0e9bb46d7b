//! `GET /_matrix/client/v1/media/thumbnail/{serverName}/{mediaId}`: gives a smaller image back
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediathumbnailservernamemediaid>).

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use media::{Method, Wanted};
use ruma::OwnedServerName;
use serde::Deserialize;

use super::download::Patience;
use super::send;
use crate::http::{AppState, Caller, Error, Path, Query};

/// What is asked for. That it may move is passed by: what is made does not.
#[derive(Debug, Deserialize)]
pub(crate) struct Params {
    width: u32,
    height: u32,
    method: Option<Fit>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Fit {
    Crop,
    Scale,
}

/// Answers with the thumbnail.
pub(crate) async fn get(
    State(state): State<AppState>,
    _: Caller,
    Path((server, id)): Path<(OwnedServerName, String)>,
    Query(Params { width, height, method }): Query<Params>,
    Query(patience): Query<Patience>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    if width == 0 || height == 0 {
        return Err(Error::refusal("M_UNKNOWN", "a thumbnail has at least one pixel each way"));
    }
    let method = match method {
        Some(Fit::Crop) => Method::Crop,
        Some(Fit::Scale) | None => Method::Scale,
    };
    let wanted = Wanted { width, height, method };
    let content = state.media.thumbnail(&server, &id, wanted, patience.duration()).await?;
    send::content(content, &headers)
}

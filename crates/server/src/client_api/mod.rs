//! The client-server API (<https://spec.matrix.org/v1.19/client-server-api/>): one endpoint, one file. Handlers translate
//! and make one call; they decide nothing.

mod versions;

use axum::Router;
use axum::routing::get;

use crate::http::AppState;

/// The routes of this API.
pub(crate) fn routes() -> Router<AppState> {
    Router::new().route("/_matrix/client/versions", get(versions::get))
}

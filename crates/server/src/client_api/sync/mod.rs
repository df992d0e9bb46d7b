//! What changed since (<https://spec.matrix.org/v1.19/client-server-api/#syncing>).

mod get_sync;
mod sliding_sync;

#[cfg(test)]
mod tests;

use axum::http::Method;

use crate::http::Routes;

/// The routes of this area.
pub(crate) fn routes() -> Routes {
    let sliding = ["/_matrix/client/v4/sync", "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync"];
    Routes::new().at(Method::GET, &["/_matrix/client/v3/sync", "/_matrix/client/r0/sync"], get_sync::get).at(
        Method::POST,
        &sliding,
        sliding_sync::post,
    )
}

//! Keys of devices and users (<https://spec.matrix.org/v1.19/client-server-api/#key-management-api>).

mod changes;
mod claim;
mod cross_signing;
mod query;
mod signatures;
mod upload;

#[cfg(test)]
mod tests;

use axum::http::Method;

use crate::http::Routes;

/// The routes of this area.
pub(crate) fn routes() -> Routes {
    const CROSS_SIGNING: [&str; 2] =
        ["/_matrix/client/v3/keys/device_signing/upload", "/_matrix/client/unstable/keys/device_signing/upload"];
    Routes::new()
        .add(upload::post)
        .add(query::post)
        .add(claim::post)
        .add(changes::get)
        .at(Method::POST, &CROSS_SIGNING, cross_signing::post)
        .add(signatures::post)
}

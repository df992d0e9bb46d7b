//! What this server speaks and can do, and who runs it.

mod capabilities;
mod client_address;
mod support;
mod versions;

#[cfg(test)]
mod tests;

use axum::http::Method;

use crate::http::Routes;

/// The routes of this area.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .at(Method::GET, &["/_matrix/client/versions"], versions::get)
        .add(capabilities::get)
        .add(client_address::get)
        .add(support::get)
}

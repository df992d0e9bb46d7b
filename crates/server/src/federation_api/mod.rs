//! The server-server API (<https://spec.matrix.org/v1.19/server-server-api/>): one endpoint, one file.

mod openid_userinfo;

#[cfg(test)]
mod tests;

use crate::http::Routes;

/// The routes of this API.
pub(crate) fn routes() -> Routes {
    Routes::new().add(openid_userinfo::get)
}

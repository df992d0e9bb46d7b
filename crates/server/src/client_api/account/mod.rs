//! A user's own account (<https://spec.matrix.org/v1.19/client-server-api/#account-management>).

mod deactivate;
mod openid;
mod password;
mod third_party;
mod whoami;

#[cfg(test)]
mod tests;

use axum::http::Method;

use crate::http::Routes;

/// The endpoints of this area.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .add(whoami::get)
        .at(
            Method::POST,
            &["/_matrix/client/v3/account/password", "/_matrix/client/r0/account/password"],
            password::post,
        )
        .at(
            Method::POST,
            &["/_matrix/client/v3/account/deactivate", "/_matrix/client/r0/account/deactivate"],
            deactivate::post,
        )
        .add(openid::post)
        .merge(third_party::routes())
}

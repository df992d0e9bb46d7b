//! Making accounts (<https://spec.matrix.org/v1.19/client-server-api/#account-registration>).

mod available;
mod register;
mod token_validity;

#[cfg(test)]
mod tests;

use axum::http::Method;

use crate::http::Routes;

/// The endpoints of this area.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .at(Method::POST, &["/_matrix/client/v3/register", "/_matrix/client/r0/register"], register::post)
        .add(available::get)
        .add(token_validity::get)
}

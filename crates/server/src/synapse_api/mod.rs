//! The few endpoints of Synapse's own admin API (`/_synapse/admin`) that scripts and tests of other projects rely on.

mod register;

#[cfg(test)]
mod tests;

use axum::http::Method;

use crate::http::Routes;

/// The routes of this API.
pub(crate) fn routes() -> Routes {
    const REGISTER: &[&str] = &["/_synapse/admin/v1/register"];
    Routes::new().at(Method::GET, REGISTER, register::get).at(Method::POST, REGISTER, register::post)
}

//! From a request to its handler: the routes of all APIs, and what is the same for all of them.
//!
//! Every listener serves this one router. An API brings its own routes from its folder; an endpoint is one file there.

mod cors;
pub(crate) mod errors;
mod panics;

#[cfg(test)]
mod tests;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRef};
use axum::middleware::from_fn;
use axum::routing::get;
use base::limits;

use crate::client_api;
use crate::health::{self, HealthWatch};
use errors::Error;

/// What handlers may use.
#[derive(Clone, Debug)]
pub struct AppState {
    /// What the server can do at the moment.
    pub health: HealthWatch,
}

impl FromRef<AppState> for HealthWatch {
    fn from_ref(state: &AppState) -> Self {
        state.health.clone()
    }
}

/// All routes over `state`.
pub fn router(state: AppState) -> Router {
    let routes = Router::new().route("/health", get(health::endpoint::get)).merge(client_api::routes());
    with_layers(routes).with_state(state)
}

/// `routes` with what is the same for all: answers for what no route takes, panics, CORS, limits.
fn with_layers<S: Clone + Send + Sync + 'static>(routes: Router<S>) -> Router<S> {
    routes
        .fallback(async || Error::UnknownPath)
        .method_not_allowed_fallback(async || Error::WrongMethod)
        .layer(from_fn(panics::answer))
        .layer(from_fn(cors::allow))
        .layer(DefaultBodyLimit::max(limits::REQUEST_BYTES))
}

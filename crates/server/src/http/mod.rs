//! From a request to its handler: the routes of all APIs, and what is the same for all of them.
//!
//! Every listener serves this one router. An API brings its own routes from its folder; an endpoint is one file there.

#![allow(dead_code, unused_imports, reason = "the first users of some of it come with the areas of the APIs")]

pub(crate) mod address;
mod around;
pub(crate) mod auth;
pub(crate) mod body;
mod cors;
pub(crate) mod endpoint;
pub(crate) mod errors;
mod guests;
pub(crate) mod limiter;
pub(crate) mod query;
pub(crate) mod routes;
mod state;

#[cfg(test)]
mod arbitrary;
#[cfg(test)]
mod conformance;
#[cfg(test)]
pub(crate) mod test_app;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use axum::http::Method;

use crate::client_api;
use crate::federation_api;
use crate::health;
use crate::synapse_api;
pub use around::App;
pub(crate) use auth::{Caller, MaybeCaller};
pub(crate) use body::JsonBody;
pub(crate) use endpoint::{Ruma, RumaResponse};
pub(crate) use errors::Error;
pub(crate) use query::{Path, Query};
pub(crate) use routes::Routes;
pub(crate) use state::open_rooms;
pub use state::{AppState, Handles, OpenError};

/// All routes over `state`.
pub fn app(state: AppState) -> App {
    let (router, _) = all_routes().into_parts();
    App::new(router, state)
}

/// The routes of all APIs.
pub(crate) fn all_routes() -> Routes {
    Routes::new()
        .at(Method::GET, &["/health"], health::endpoint::get)
        .merge(client_api::routes())
        .merge(federation_api::routes())
        .merge(synapse_api::routes())
}

/// Whether a path is served, spelt with the parameters of its registration.
pub(crate) fn is_served(path: &str) -> bool {
    static PATHS: LazyLock<BTreeSet<&'static str>> = LazyLock::new(|| {
        let (_, list) = all_routes().into_parts();
        list.into_iter().map(|route| route.path).collect()
    });
    PATHS.contains(path)
}

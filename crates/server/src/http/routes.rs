//! The list of routes while it is being made. Every endpoint is registered here and nowhere else, so that the table of what
//! is served (`spec/client-server.md`) cannot say anything that the router does not do.
//!
//! An area's `mod.rs` has one function that adds its endpoints:
//!
//! ```ignore
//! pub(crate) fn routes() -> Routes {
//!     Routes::new()
//!         // A handler with a `Ruma<R>` argument: method and all paths come from `R`'s metadata.
//!         .add(get_profile::get)
//!         // Any other handler: method and paths are named.
//!         .at(Method::PUT, &["/_matrix/client/v3/rooms/{roomId}/state/{eventType}/"], send_state::put_without_key)
//! }
//! ```

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, on};
use ruma::api::path_builder::PathBuilder;
use ruma::api::{IncomingRequest, Metadata};

use super::endpoint::{Authenticated, Ruma};
use super::state::AppState;

/// A method and a path that are served.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Route {
    /// The method, in capitals.
    pub(crate) method: String,
    /// The path with its parameters in braces.
    pub(crate) path: &'static str,
}

/// Routes being collected.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    router: Router<AppState>,
    list: Vec<Route>,
}

impl Routes {
    /// No routes.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Serves an endpoint of ruma's, which the handler's last argument names, on all the paths it ever had.
    pub(crate) fn add<H, T>(self, handler: H) -> Self
    where
        H: Handler<T, AppState>,
        T: Endpoint + 'static,
    {
        self.add_and(&[], handler)
    }

    /// The same, and on these paths as well (names of proposals that clients in use still ask for). Their parameters must
    /// be the same in number and order.
    pub(crate) fn add_and<H, T>(self, more: &[&'static str], handler: H) -> Self
    where
        H: Handler<T, AppState>,
        T: Endpoint + 'static,
    {
        let paths: Vec<_> = T::Request::PATH_BUILDER.all_paths().chain(more.iter().copied()).collect();
        self.at(T::Request::METHOD, &paths, handler)
    }

    /// Serves `paths` with `handler`.
    #[expect(clippy::needless_pass_by_value, reason = "so that a list of routes has nothing but routes in it")]
    pub(crate) fn at<H, T>(mut self, method: Method, paths: &[&'static str], handler: H) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        for path in paths {
            // A method that axum has no filter for cannot be served; the test of the table would miss its route.
            let Ok(filter) = MethodFilter::try_from(method.clone()) else { continue };
            self.router = self.router.route(path, on(filter, handler.clone()));
            self.list.push(Route { method: method.to_string(), path });
        }
        self
    }

    /// Adds the routes of a folder.
    pub(crate) fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.list.extend(other.list);
        self
    }

    /// The router, and what it serves.
    pub(crate) fn into_parts(self) -> (Router<AppState>, Vec<Route>) {
        (self.router, self.list)
    }
}

/// The arguments of a handler whose last is a [`Ruma`]; axum's marker comes first.
pub(crate) trait Endpoint {
    /// The endpoint.
    type Request: IncomingRequest;
}

impl<M, R: IncomingRequest + Authenticated> Endpoint for (M, Ruma<R>) {
    type Request = R;
}

impl<M, A, R: IncomingRequest + Authenticated> Endpoint for (M, A, Ruma<R>) {
    type Request = R;
}

impl<M, A, B, R: IncomingRequest + Authenticated> Endpoint for (M, A, B, Ruma<R>) {
    type Request = R;
}

impl<M, A, B, C, R: IncomingRequest + Authenticated> Endpoint for (M, A, B, C, Ruma<R>) {
    type Request = R;
}

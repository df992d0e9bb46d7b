//! What happens around every handler: preflights, limits by address, panics, and the headers for browsers. It is no layer of
//! the router, because each layer is a copy of the handler and two allocations for every request.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use tower::Service;

use super::errors::{self, Error};
use super::state::AppState;
use super::{address, cors, limiter};

/// All routes with what happens around them: what listeners serve.
#[derive(Clone, Debug)]
pub struct App {
    router: Router,
    /// Who counts; `None` for routes of tests that need nobody.
    state: Option<AppState>,
}

impl App {
    /// `routes` over `state`.
    pub(super) fn new(routes: Router<AppState>, state: AppState) -> Self {
        Self { router: with_refusals(routes).with_state(state.clone()), state: Some(state) }
    }

    /// `routes` without limits.
    #[cfg(test)]
    pub(crate) fn bare(routes: Router) -> Self {
        Self { router: with_refusals(routes), state: None }
    }

    /// Answers a request. Preflights are answered without asking anyone.
    pub async fn answer<B>(&self, request: Request<B>) -> Response
    where
        B: HttpBody<Data = Bytes, Error: Into<axum::BoxError>> + Send + 'static,
    {
        let request = request.map(Body::new);
        if !cors::is_for_browsers(request.uri().path()) {
            return self.within_limits(request).await;
        }
        let mut response = match *request.method() {
            Method::OPTIONS => errors::EMPTY.into_response(),
            _ => self.within_limits(request).await,
        };
        cors::allow(response.headers_mut());
        response
    }

    async fn within_limits(&self, request: Request) -> Response {
        if let Some(state) = &self.state
            && let Some(class) = limiter::of_address(request.method(), request.uri().path())
        {
            let client = address::client(request.extensions(), request.headers(), &state.config.trusted_proxies);
            if let Err(error) = state.limiter.take(class, address::counted(client)) {
                return error.into_response();
            }
        }
        self.without_panic(request).await
    }

    /// A panic in a handler costs its own request only: it is answered as a fault, and the connection lives on. What it
    /// said was logged by the panic hook.
    async fn without_panic(&self, request: Request) -> Response {
        // A copy, small beside the connection's buffer, which the path itself would hold for as long as a long poll waits.
        let (method, path) = (request.method().clone(), Box::<str>::from(request.uri().path()));
        // Nothing of the handler is looked at after its panic, so nothing half-changed can be seen.
        match AssertUnwindSafe(self.router.clone().call(request)).catch_unwind().await {
            Ok(Ok(response)) => response,
            Ok(Err(never)) => {
                let never: Infallible = never;
                match never {}
            }
            Err(_) => {
                tracing::error!(%method, path, "a request's handler panicked");
                Error::unlogged_fault().into_response()
            }
        }
    }
}

/// `routes` with answers for what none of them takes.
fn with_refusals<S: Clone + Send + Sync + 'static>(routes: Router<S>) -> Router<S> {
    routes.fallback(async || Error::unknown_path()).method_not_allowed_fallback(async || Error::wrong_method())
}

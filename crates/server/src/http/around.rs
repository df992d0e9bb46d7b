//! What happens around every handler: preflights, limits by address, panics, and the headers for browsers. It is no layer of
//! the router, because each layer is a copy of the handler and two allocations for every request.

use std::convert::Infallible;
use std::future::ready;
use std::panic::AssertUnwindSafe;

use axum::body::{Bytes, HttpBody};
use axum::extract::Request;
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use axum::routing::future::RouteFuture;
use axum::{BoxError, Router};
use futures_util::FutureExt;
use futures_util::future::Either;
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
    ///
    /// What need not wait is done before there is a future, so that a request that waits for long takes little memory.
    pub fn answer<B>(&self, request: Request<B>) -> impl Future<Output = Response> + Send + use<B>
    where
        B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let is_for_browsers = cors::is_for_browsers(request.uri().path());
        let (method, path) = (request.method().clone(), Box::<str>::from(request.uri().path()));
        let answer = match self.refusal(&request) {
            _ if is_for_browsers && method == Method::OPTIONS => Either::Left(ready(errors::EMPTY.into_response())),
            Some(error) => Either::Left(ready(error.into_response())),
            None => Either::Right(without_panic(self.router.clone().call(request), method, path)),
        };
        answer.map(move |mut response| {
            if is_for_browsers {
                cors::allow(response.headers_mut());
            }
            response
        })
    }

    /// Why a request is answered by nobody: its address asks too much.
    fn refusal<B>(&self, request: &Request<B>) -> Option<Error> {
        let state = self.state.as_ref()?;
        let class = limiter::of_address(request.method(), request.uri().path())?;
        let client = address::client(request.extensions(), request.headers(), &state.config.trusted_proxies);
        state.limiter.take(class, address::counted(client)).err()
    }
}

/// A panic in a handler costs its own request only: it is answered as a fault, and the connection lives on. What it said was
/// logged by the panic hook. The path is a copy, small beside the connection's buffer, which the request's own would hold for
/// as long as a long poll waits.
async fn without_panic(answer: RouteFuture<Infallible>, method: Method, path: Box<str>) -> Response {
    // Nothing of the handler is looked at after its panic, so nothing half-changed can be seen.
    match AssertUnwindSafe(answer).catch_unwind().await {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(_) => {
            tracing::error!(%method, path, "a request's handler panicked");
            Error::unlogged_fault().into_response()
        }
    }
}

/// `routes` with answers for what none of them takes.
fn with_refusals<S: Clone + Send + Sync + 'static>(routes: Router<S>) -> Router<S> {
    routes.fallback(async || Error::unknown_path()).method_not_allowed_fallback(async || Error::wrong_method())
}

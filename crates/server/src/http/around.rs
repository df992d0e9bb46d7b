//! What happens around every handler, in one layer, because each costs every request: preflights, limits by address, panics,
//! and the headers for browsers.

use std::panic::AssertUnwindSafe;

use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;

use super::address;
use super::cors;
use super::errors::{self, Error};
use super::limiter;
use super::state::AppState;

/// Answers preflights without asking anyone, and everything else as `next` does.
pub(super) async fn answer(State(state): State<AppState>, request: Request, next: Next) -> Response {
    if !cors::is_for_browsers(request.uri().path()) {
        return within_limits(&state, request, next).await;
    }
    let mut response = match *request.method() {
        Method::OPTIONS => errors::EMPTY.into_response(),
        _ => within_limits(&state, request, next).await,
    };
    cors::allow(response.headers_mut());
    response
}

async fn within_limits(state: &AppState, request: Request, next: Next) -> Response {
    if let Some(class) = limiter::of_address(request.method(), request.uri().path()) {
        let client = address::client(request.extensions(), request.headers(), &state.config.trusted_proxies);
        if let Err(error) = state.limiter.take(class, address::counted(client)) {
            return error.into_response();
        }
    }
    without_panic(request, next).await
}

/// A panic in a handler costs its own request only: it is answered as a fault, and the connection lives on. What it said
/// was logged by the panic hook.
async fn without_panic(request: Request, next: Next) -> Response {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    // Nothing of the handler is looked at after its panic, so nothing half-changed can be seen.
    AssertUnwindSafe(next.run(request)).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!(%method, path = uri.path(), "a request's handler panicked");
        Error::unlogged_fault().into_response()
    })
}

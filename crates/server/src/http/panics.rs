//! A panic in a handler costs its own request only: it is answered as a fault, and the connection lives on.

use std::panic::AssertUnwindSafe;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;

use super::errors::Error;

/// Answers for a handler that panicked. What it said was logged by the panic hook.
pub(crate) async fn answer(request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    // Nothing of the handler is looked at after its panic, so nothing half-changed can be seen.
    AssertUnwindSafe(next.run(request)).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!(%method, path, "a request's handler panicked");
        Error::unlogged_fault().into_response()
    })
}

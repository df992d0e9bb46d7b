//! Cross-origin requests: web clients come from anywhere, and authenticate with a token instead of cookies
//! (<https://spec.matrix.org/v1.19/client-server-api/#web-browser-clients>).

use axum::extract::Request;
use axum::http::{HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::errors;

/// Paths that browsers ask for.
const PREFIXES: [&str; 3] = ["/_matrix/client/", "/_matrix/media/", "/.well-known/matrix/"];

const HEADERS: [(header::HeaderName, HeaderValue); 3] = [
    (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
    (header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, PUT, DELETE, OPTIONS")),
    (header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("X-Requested-With, Content-Type, Authorization")),
];

/// Answers preflights without asking anyone, and lets browsers read every other answer, errors too.
pub(crate) async fn allow(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if !PREFIXES.iter().any(|prefix| path.starts_with(prefix)) {
        return next.run(request).await;
    }
    let mut response = match *request.method() {
        Method::OPTIONS => errors::EMPTY.into_response(),
        _ => next.run(request).await,
    };
    response.headers_mut().extend(HEADERS);
    response
}

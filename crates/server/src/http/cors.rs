//! Cross-origin requests: web clients come from anywhere, and authenticate with a token instead of cookies
//! (<https://spec.matrix.org/v1.19/client-server-api/#web-browser-clients>).

use axum::http::{HeaderMap, HeaderValue, header};

/// Paths that browsers ask for.
const PREFIXES: [&str; 3] = ["/_matrix/client/", "/_matrix/media/", "/.well-known/matrix/"];

const HEADERS: [(header::HeaderName, HeaderValue); 3] = [
    (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
    (header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, PUT, DELETE, OPTIONS")),
    (header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("X-Requested-With, Content-Type, Authorization")),
];

/// Whether browsers ask for `path`.
pub(super) fn is_for_browsers(path: &str) -> bool {
    PREFIXES.iter().any(|prefix| path.starts_with(prefix))
}

/// Lets browsers read an answer, errors too.
pub(super) fn allow(headers: &mut HeaderMap) {
    headers.extend(HEADERS);
}

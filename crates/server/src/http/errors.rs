//! What went wrong, as clients and peers are told: the one file that knows status codes. An answer that is no success has
//! the body of <https://spec.matrix.org/v1.19/client-server-api/#standard-error-response>.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::health::Health;

/// Why a request is not answered as asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Refusal: no endpoint has this path.
    #[error("there is no such endpoint")]
    UnknownPath,
    /// Refusal: an endpoint has this path, but not with this method.
    #[error("this endpoint does not take this method")]
    WrongMethod,
    /// Fault: the handler panicked. What it said is in the log, never in the answer.
    #[error("the server made a mistake while answering this request")]
    Panicked,
}

/// The body of an error.
#[derive(Serialize)]
struct Body {
    errcode: &'static str,
    error: String,
}

impl Error {
    fn status_and_code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::UnknownPath => (StatusCode::NOT_FOUND, "M_UNRECOGNIZED"),
            Self::WrongMethod => (StatusCode::METHOD_NOT_ALLOWED, "M_UNRECOGNIZED"),
            Self::Panicked => (StatusCode::INTERNAL_SERVER_ERROR, "M_UNKNOWN"),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, errcode) = self.status_and_code();
        (status, Json(Body { errcode, error: self.to_string() })).into_response()
    }
}

/// The status that says `health`.
pub(crate) fn health_status(health: Health) -> StatusCode {
    match health {
        Health::Ok | Health::ReadOnly => StatusCode::OK,
        Health::Failed => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// The status of an answer that holds nothing but headers.
pub(crate) const EMPTY: StatusCode = StatusCode::NO_CONTENT;

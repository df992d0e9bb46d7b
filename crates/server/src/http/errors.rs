//! What went wrong, as clients and peers are told: the one file that knows status codes. An answer that is no success has
//! the body of <https://spec.matrix.org/v1.19/client-server-api/#standard-error-response>.
//!
//! A handler returns `Result<_, Error>` and uses `?` on the errors of the crates below, or names a refusal by its Matrix
//! code: `Error::refusal("M_FORBIDDEN", "you may not do that")`. The status follows from the code; where the specification
//! wants another one for an endpoint, [`Error::with_status`] says so. Faults are logged here, once, and tell clients nothing.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ruma::api::client::uiaa::UiaaInfo;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::health::Health;

/// What clients are told about a mistake of ours.
const FAULT: &str = "the server made a mistake while answering this request";
/// How long to wait when the store cannot do it now: a fail-over or a restart takes a few seconds.
const UNAVAILABLE: Duration = Duration::from_secs(2);
/// How long to wait when others were faster, every time.
const BUSY: Duration = Duration::from_millis(500);

/// How long to wait when too much media was created: somebody has to upload some of it first.
const TOO_MANY_PENDING: Duration = Duration::from_secs(30);

/// Why a request is not answered as asked. One pointer, so that results stay small.
#[derive(Debug)]
pub(crate) struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    status: StatusCode,
    code: Cow<'static, str>,
    message: Cow<'static, str>,
    /// What the specification has beside code and message.
    extra: Map<String, Value>,
    retry_after: Option<Duration>,
    /// An answer with a body of its own: a step of user-interactive authentication.
    whole: Option<Value>,
}

/// The body of an error.
#[derive(Serialize)]
struct Body<'a> {
    errcode: &'a str,
    error: &'a str,
    #[serde(flatten)]
    extra: &'a Map<String, Value>,
}

/// What is given out when it is known as another kind of answer than the code's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// 400.
    BadRequest,
    /// 401.
    Unauthorized,
    /// 403.
    Forbidden,
    /// 404.
    NotFound,
    /// 405.
    MethodNotAllowed,
    /// 409.
    Conflict,
    /// 416, with the size of what was asked for a part of.
    RangeNotSatisfiable,
    /// 501.
    NotImplemented,
    /// 502.
    BadGateway,
    /// 503.
    Unavailable,
    /// 504.
    GatewayTimeout,
}

impl From<Status> for StatusCode {
    fn from(status: Status) -> Self {
        match status {
            Status::BadRequest => Self::BAD_REQUEST,
            Status::Unauthorized => Self::UNAUTHORIZED,
            Status::Forbidden => Self::FORBIDDEN,
            Status::NotFound => Self::NOT_FOUND,
            Status::MethodNotAllowed => Self::METHOD_NOT_ALLOWED,
            Status::Conflict => Self::CONFLICT,
            Status::RangeNotSatisfiable => Self::RANGE_NOT_SATISFIABLE,
            Status::NotImplemented => Self::NOT_IMPLEMENTED,
            Status::BadGateway => Self::BAD_GATEWAY,
            Status::Unavailable => Self::SERVICE_UNAVAILABLE,
            Status::GatewayTimeout => Self::GATEWAY_TIMEOUT,
        }
    }
}

impl Error {
    /// Refusal with the Matrix error code `code` (<https://spec.matrix.org/v1.19/client-server-api/#common-error-codes>) and a
    /// message for people. The status is that of the code.
    pub(crate) fn refusal(code: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        let code = code.into();
        Self::new(status_of(&code), code, message)
    }

    /// Refusal: no endpoint has this path.
    pub(crate) fn unknown_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "M_UNRECOGNIZED", "there is no such endpoint")
    }

    /// Refusal: an endpoint has this path, but not with this method.
    pub(crate) fn wrong_method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "M_UNRECOGNIZED", "this endpoint does not take this method")
    }

    /// Refusal: the endpoint needs a token and none was sent.
    pub(crate) fn missing_token() -> Self {
        Self::refusal("M_MISSING_TOKEN", "this needs an access token, and none was sent")
    }

    /// Refusal: the token is of no session. With `soft_logout` the client may keep its keys and log in again
    /// (<https://spec.matrix.org/v1.19/client-server-api/#soft-logout>).
    pub(crate) fn unknown_token(soft_logout: SoftLogout) -> Self {
        let soft = soft_logout == SoftLogout::Yes;
        Self::refusal("M_UNKNOWN_TOKEN", "the access token is not known, or not any more").with("soft_logout", soft)
    }

    /// Refusal: too many requests; the same works after `retry_after`
    /// (<https://spec.matrix.org/v1.19/client-server-api/#rate-limiting>).
    pub(crate) fn limit_exceeded(retry_after: Duration) -> Self {
        let millis = u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX);
        let mut error =
            Self::refusal("M_LIMIT_EXCEEDED", "too many requests; wait a little").with("retry_after_ms", millis);
        error.0.retry_after = Some(retry_after);
        error
    }

    /// Refusal: the next step of user-interactive authentication
    /// (<https://spec.matrix.org/v1.19/client-server-api/#user-interactive-authentication-api>).
    pub(crate) fn interactive(info: &UiaaInfo) -> Self {
        match serde_json::to_value(info) {
            Ok(body) => {
                let mut error = Self::new(StatusCode::UNAUTHORIZED, "M_UNAUTHORIZED", "this needs more authentication");
                error.0.whole = Some(body);
                error
            }
            Err(error) => Self::fault(&error),
        }
    }

    /// Unavailable: nothing is wrong with the request, and the same may work after `retry_after`.
    pub(crate) fn unavailable(retry_after: Duration) -> Self {
        let mut error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "M_UNKNOWN", "the server cannot do this now");
        error.0.retry_after = Some(retry_after);
        error
    }

    /// Fault: a bug of ours or a broken disk. It is logged with all its sources; the answer has nothing of it.
    pub(crate) fn fault(error: &(dyn StdError + 'static)) -> Self {
        tracing::error!(error = %Chain(error), "a request failed because of a fault");
        Self::unlogged_fault()
    }

    /// Fault that is in the log already: the handler panicked.
    pub(crate) fn unlogged_fault() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "M_UNKNOWN", FAULT)
    }

    /// The same with another status, where the specification wants one for an endpoint.
    pub(crate) fn with_status(mut self, status: Status) -> Self {
        self.0.status = status.into();
        self
    }

    /// The same with another field in the body.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.extra.insert(name.to_owned(), value.into());
        self
    }

    /// The Matrix error code.
    pub(crate) fn code(&self) -> &str {
        &self.0.code
    }

    fn new(status: StatusCode, code: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        let (code, message) = (code.into(), message.into());
        Self(Box::new(Inner { status, code, message, extra: Map::new(), retry_after: None, whole: None }))
    }
}

/// Whether a client may keep what it has while it logs in again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SoftLogout {
    /// It may.
    Yes,
    /// The session is gone.
    No,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.0.status.as_u16(), self.0.code, self.0.message)
    }
}

impl StdError for Error {}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let Inner { status, code, message, extra, retry_after, whole } = &*self.0;
        let mut response = match whole {
            Some(body) => (*status, Json(body)).into_response(),
            None => (*status, Json(Body { errcode: code, error: message, extra })).into_response(),
        };
        if let Some(wait) = retry_after {
            // Whole seconds, rounded up: who comes too early is refused again.
            let seconds = wait.as_millis().div_ceil(1_000);
            if let Ok(value) = HeaderValue::try_from(seconds.to_string()) {
                response.headers_mut().insert(header::RETRY_AFTER, value);
            }
        }
        response
    }
}

/// The status of refusals with this code, where the endpoint says nothing else.
fn status_of(code: &str) -> StatusCode {
    match code {
        "M_MISSING_TOKEN" | "M_UNKNOWN_TOKEN" | "M_USER_LOCKED" | "M_UNAUTHORIZED" => StatusCode::UNAUTHORIZED,
        "M_FORBIDDEN"
        | "M_USER_SUSPENDED"
        | "M_USER_DEACTIVATED"
        | "M_GUEST_ACCESS_FORBIDDEN"
        | "M_THREEPID_DENIED"
        | "M_WRONG_ROOM_KEYS_VERSION"
        | "M_CANNOT_LEAVE_SERVER_NOTICE_ROOM"
        | "M_INVITE_BLOCKED"
        | "M_RESOURCE_LIMIT_EXCEEDED" => StatusCode::FORBIDDEN,
        "M_NOT_FOUND" | "M_UNRECOGNIZED" => StatusCode::NOT_FOUND,
        "M_CANNOT_OVERWRITE_MEDIA" => StatusCode::CONFLICT,
        "M_TOO_LARGE" => StatusCode::PAYLOAD_TOO_LARGE,
        "M_LIMIT_EXCEEDED" => StatusCode::TOO_MANY_REQUESTS,
        "M_NOT_YET_UPLOADED" => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::BAD_REQUEST,
    }
}

impl From<storage::Error> for Error {
    fn from(error: storage::Error) -> Self {
        if error.is_unavailable() {
            tracing::warn!(%error, "a request could not be answered now");
            return Self::unavailable(UNAVAILABLE);
        }
        Self::fault(&error)
    }
}

impl From<rooms::Error> for Error {
    fn from(error: rooms::Error) -> Self {
        match error {
            rooms::Error::Refused(refusal) => refusal.into(),
            rooms::Error::Busy { .. } => Self::limit_exceeded(BUSY),
            error if error.is_conflict() => Self::limit_exceeded(BUSY),
            rooms::Error::Storage { source, .. } if source.is_unavailable() => source.into(),
            error => Self::fault(&error),
        }
    }
}

impl From<rooms::Refusal> for Error {
    fn from(refusal: rooms::Refusal) -> Self {
        Self::refusal(refusal.code(), refusal.to_string())
    }
}

impl From<accounts::Error> for Error {
    fn from(error: accounts::Error) -> Self {
        match error {
            accounts::Error::Refused(refusal) => refusal.into(),
            accounts::Error::MoreAuth(info) => Self::interactive(&info),
            accounts::Error::Busy { .. } | accounts::Error::TooManyPasswords => Self::limit_exceeded(BUSY),
            error if error.is_conflict() => Self::limit_exceeded(BUSY),
            accounts::Error::Storage { source, .. } if source.is_unavailable() => source.into(),
            error => Self::fault(&error),
        }
    }
}

impl From<accounts::Refusal> for Error {
    fn from(refusal: accounts::Refusal) -> Self {
        let error = Self::refusal(refusal.code(), refusal.to_string());
        if matches!(refusal, accounts::Refusal::ServerManaged { .. }) {
            return error.with_status(Status::MethodNotAllowed);
        }
        if let accounts::Refusal::WrongBackupVersion { current } = refusal {
            return error.with("current_version", current);
        }
        match refusal.code() {
            "M_UNKNOWN_TOKEN" | "M_USER_LOCKED" => error.with("soft_logout", refusal.is_soft_logout()),
            _ => error,
        }
    }
}

impl From<media::Error> for Error {
    fn from(error: media::Error) -> Self {
        match error {
            media::Error::Refused(refusal) => refusal.into(),
            media::Error::Busy => Self::limit_exceeded(BUSY),
            media::Error::NoFolder => Self::unavailable(UNAVAILABLE),
            error if error.is_conflict() => Self::limit_exceeded(BUSY),
            media::Error::Storage { source, .. } if source.is_unavailable() => source.into(),
            error => Self::fault(&error),
        }
    }
}

impl From<media::Refusal> for Error {
    fn from(refusal: media::Refusal) -> Self {
        match refusal {
            media::Refusal::TooManyPending => Self::limit_exceeded(TOO_MANY_PENDING),
            refusal => Self::refusal(refusal.code(), refusal.to_string()),
        }
    }
}

impl From<sync::Error> for Error {
    fn from(error: sync::Error) -> Self {
        match error {
            sync::Error::Refused(refusal) => Self::refusal(refusal.code(), refusal.to_string()),
            sync::Error::Rooms(error) => error.into(),
            sync::Error::Accounts(error) => error.into(),
            error if error.is_unavailable() => Self::unavailable(UNAVAILABLE),
            error => Self::fault(&error),
        }
    }
}

/// Of an answer that others asked for as well.
impl From<Arc<sync::Error>> for Error {
    fn from(error: Arc<sync::Error>) -> Self {
        match &*error {
            sync::Error::Refused(refusal) => Self::refusal(refusal.code(), refusal.to_string()),
            error if error.is_unavailable() => Self::unavailable(UNAVAILABLE),
            error => Self::fault(error),
        }
    }
}

/// An error with all that caused it, on one line. What an error's own text repeats of its source is left out.
struct Chain<'a>(&'a (dyn StdError + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        f.write_str(&said)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            let text = error.to_string();
            if !said.contains(&text) {
                write!(f, ": {text}")?;
                said = text;
            }
            source = error.source();
        }
        Ok(())
    }
}

/// The status that says `health`.
pub(crate) fn health_status(health: Health) -> StatusCode {
    match health {
        Health::Ok | Health::ReadOnly => StatusCode::OK,
        Health::Failed => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// The status of an answer with a part of a content.
pub(crate) const PARTIAL: StatusCode = StatusCode::PARTIAL_CONTENT;

/// The status of an answer to who has the content already.
pub(crate) const NOT_MODIFIED: StatusCode = StatusCode::NOT_MODIFIED;

/// The status of an answer that holds nothing but headers.
pub(crate) const EMPTY: StatusCode = StatusCode::NO_CONTENT;

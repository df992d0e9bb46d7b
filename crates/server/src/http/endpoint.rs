//! Requests and answers of ruma's types: [`Ruma`] as the last argument of a handler, [`RumaResponse`] as its answer.
//!
//! ```ignore
//! pub(crate) async fn get(
//!     State(state): State<AppState>,
//!     Ruma { body, caller }: Ruma<Request>,
//! ) -> Result<RumaResponse<Response>, Error> {
//!     let tags = state.accounts.tags(&caller.user_id, &body.room_id).await?;
//!     Ok(RumaResponse(Response::new(tags)))
//! }
//! ```

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::extract::{FromRequest, RawPathParams, Request};
use axum::http;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use ruma::api::error::DeserializationError;
use ruma::api::{IncomingRequest, Metadata, OutgoingResponse, OutgoingResponseExt};

use super::auth::Scheme;
use super::body;
use super::errors::Error;
use super::state::AppState;

/// A request of the endpoint `R`, and who sent it.
#[derive(Debug)]
pub(crate) struct Ruma<R: Authenticated> {
    /// What is asked for: path, query, headers and body.
    pub(crate) body: R,
    /// Who asks, by the endpoint's scheme: a [`Caller`](super::auth::Caller), an optional one, or nobody.
    pub(crate) caller: CallerOf<R>,
}

/// What is known of who asks the endpoint `R`.
pub(crate) type CallerOf<R> = <<R as Metadata>::Authentication as Scheme>::Caller;

/// An endpoint whose way to find out who asks is one that we have.
pub(crate) trait Authenticated: Metadata<Authentication: Scheme> {}

impl<R: Metadata<Authentication: Scheme>> Authenticated for R {}

impl<R> FromRequest<AppState> for Ruma<R>
where
    R: IncomingRequest + Authenticated,
{
    type Rejection = Error;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Error> {
        let (mut parts, body) = request.into_parts();
        let caller = <R::Authentication as Scheme>::authenticate(&parts, state).await?;
        let bytes = body::read(&parts.headers, body, state).await?;
        let params = RawPathParams::from_request_parts(&mut parts, state)
            .await
            .map_err(|_| Error::refusal("M_INVALID_PARAM", "the path is not UTF-8"))?;
        let body = parse(parts, &bytes, &params)?;
        Ok(Self { body, caller })
    }
}

fn parse<R: IncomingRequest>(parts: Parts, bytes: &Bytes, params: &RawPathParams) -> Result<R, Error> {
    let path: Vec<&str> = params.iter().map(|(_, value)| value).collect();
    let request = http::Request::from_parts(parts, bytes.as_ref());
    R::try_from_http_request_inner(request, &path).map_err(|error| refusal(&error, bytes))
}

/// What is wrong with a request, as the specification names it.
fn refusal(error: &DeserializationError, body: &[u8]) -> Error {
    match error {
        DeserializationError::Json(error) => body::json_refusal(error, body),
        DeserializationError::Utf8(_) => Error::refusal("M_NOT_JSON", "the request is not UTF-8"),
        DeserializationError::Query(error) => {
            let text = error.to_string();
            let code = if text.starts_with("missing field") { "M_MISSING_PARAM" } else { "M_INVALID_PARAM" };
            Error::refusal(code, format!("the path or query is wrong: {text}"))
        }
        error => Error::refusal("M_INVALID_PARAM", format!("the request is wrong: {error}")),
    }
}

/// An answer of ruma's types.
#[derive(Debug)]
pub(crate) struct RumaResponse<T>(pub(crate) T);

impl<T: OutgoingResponse> IntoResponse for RumaResponse<T> {
    fn into_response(self) -> Response {
        match self.0.try_into_http_response::<Vec<u8>>() {
            Ok(response) => response.map(Body::from),
            Err(error) => Error::fault(&error).into_response(),
        }
    }
}

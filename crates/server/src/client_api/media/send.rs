//! From a content into the body of an answer, piece by piece: a piece is read when the one before it was taken.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use media::{Content, Pieces};

use super::headers;
use super::range::{self, Range};
use crate::http::Error;
use crate::http::errors::{self, Status};

/// Gives back `content`, or the part of it that the request's headers ask for.
pub(super) fn content(content: Content, asked: &HeaderMap) -> Result<Response, Error> {
    let tag = format!("\"{}\"", content.hash);
    let text = |name| asked.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let mut given = HeaderMap::new();
    headers::add(&mut given, content.content_type.as_deref(), content.filename.as_deref());
    insert(&mut given, header::ETAG, &tag);
    if text(header::IF_NONE_MATCH).is_some_and(|known| known.contains(&tag)) {
        return Ok((errors::NOT_MODIFIED, given).into_response());
    }
    let bytes = content.bytes;
    // A part of what the client has the beginning of; of something else it is to get the whole.
    let wanted = text(header::RANGE).filter(|_| text(header::IF_RANGE).is_none_or(|known| known == tag));
    match range::parse(wanted, bytes) {
        Range::Beyond => {
            let error = Error::refusal("M_UNKNOWN", "the content has no such part");
            let mut response = error.with_status(Status::RangeNotSatisfiable).into_response();
            insert(response.headers_mut(), header::CONTENT_RANGE, &format!("bytes */{bytes}"));
            Ok(response)
        }
        Range::Whole => {
            insert(&mut given, header::CONTENT_LENGTH, &bytes.to_string());
            Ok((given, body(content.whole())).into_response())
        }
        Range::Part { begin, length } => {
            insert(&mut given, header::CONTENT_LENGTH, &length.to_string());
            let last = begin + length - 1;
            insert(&mut given, header::CONTENT_RANGE, &format!("bytes {begin}-{last}/{bytes}"));
            Ok((errors::PARTIAL, given, body(content.part(begin, length))).into_response())
        }
    }
}

fn insert(headers: &mut HeaderMap, name: header::HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}

fn body(pieces: Pieces) -> Body {
    Body::from_stream(stream::try_unfold(pieces, async |mut pieces| match pieces.next().await {
        Ok(piece) => Ok(piece.map(|piece| (piece, pieces))),
        Err(error) => {
            tracing::error!(%error, "a download was cut off");
            Err(error)
        }
    }))
}

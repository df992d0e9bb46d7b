//! What is asked of other machines, and how: a request with its bounds, and something that carries it. Tests and the
//! simulator bring a [`Transport`] of their own.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use base::limits;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri};

use crate::error::Error;

/// What becomes of an answer that leads elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Redirects {
    /// It is the answer.
    #[default]
    Answer,
    /// It is followed, so many times at most. Each target goes through the address filter.
    Follow(u8),
}

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// An `http` or `https` address with a host.
    pub uri: Uri,
    /// The headers, without those that follow from the body.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// How long all of it may take, from the resolution of the name to the last byte of the answer.
    pub deadline: Duration,
    /// Largest body of an answer that is read, in bytes.
    pub answer_bytes: usize,
    /// Whether redirects are followed.
    pub redirects: Redirects,
}

impl Request {
    /// A request without headers and body, with the usual bounds.
    pub fn new(method: Method, uri: Uri) -> Self {
        Self {
            method,
            uri,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            deadline: limits::OUTGOING_DEADLINE,
            answer_bytes: limits::OUTGOING_ANSWER_BYTES,
            redirects: Redirects::Answer,
        }
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// Carries requests.
#[async_trait]
pub trait Transport: Send + Sync + fmt::Debug {
    /// Sends `request` and reads the answer, whatever its status.
    ///
    /// # Errors
    /// [`Error`] says whether asking again may help.
    async fn send(&self, request: Request) -> Result<Response, Error>;
}

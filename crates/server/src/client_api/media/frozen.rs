//! `GET /_matrix/media/v3/download/…` and `…/thumbnail/…`: the paths that need no token give back only what was uploaded
//! before they were frozen (<https://spec.matrix.org/v1.19/client-server-api/#content-repository>). This server never had
//! them open.

use crate::http::Error;

/// Answers that there is nothing.
pub(crate) async fn get() -> Error {
    Error::refusal("M_NOT_FOUND", "media are given only to who asks with a token, at /_matrix/client/v1/media")
}

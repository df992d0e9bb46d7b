//! `GET /_matrix/client/versions`: which versions of the specification are spoken
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientversions>).

use std::collections::BTreeMap;

use axum::Json;
use serde::Serialize;

/// The versions whose paths (`/_matrix/client/v1` and `/v3`) are served. The older `r0.x.y` had paths of their own, which
/// no client in use asks for any more, so they are not claimed.
const VERSIONS: [&str; 19] = [
    "v1.1", "v1.2", "v1.3", "v1.4", "v1.5", "v1.6", "v1.7", "v1.8", "v1.9", "v1.10", "v1.11", "v1.12", "v1.13",
    "v1.14", "v1.15", "v1.16", "v1.17", "v1.18", "v1.19",
];

/// What the endpoint answers.
#[derive(Debug, Serialize)]
pub(crate) struct Body {
    versions: [&'static str; VERSIONS.len()],
    /// Proposals that are not in the specification yet, by name.
    unstable_features: BTreeMap<&'static str, bool>,
}

/// Answers with what this build speaks; the same for everybody.
pub(crate) async fn get() -> Json<Body> {
    Json(Body { versions: VERSIONS, unstable_features: BTreeMap::new() })
}

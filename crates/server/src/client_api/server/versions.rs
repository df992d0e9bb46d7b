//! `GET /_matrix/client/versions`: which versions of the specification are spoken
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientversions>).

use ruma::api::client::discovery::get_supported_versions::Response;

use crate::http::{RumaResponse, is_served};

/// The versions whose paths (`/_matrix/client/v1` and `/v3`) are served. The older `r0.x.y` are not claimed: no client in
/// use asks for them.
const VERSIONS: [&str; 19] = [
    "v1.1", "v1.2", "v1.3", "v1.4", "v1.5", "v1.6", "v1.7", "v1.8", "v1.9", "v1.10", "v1.11", "v1.12", "v1.13",
    "v1.14", "v1.15", "v1.16", "v1.17", "v1.18", "v1.19",
];

/// Features that clients look for by the name of their proposal, each with a path that it needs: claimed when that is
/// served.
pub(super) const FEATURES: [(&str, &str); 6] = [
    ("org.matrix.e2e_cross_signing", "/_matrix/client/v3/keys/device_signing/upload"),
    ("org.matrix.msc3814", "/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device"),
    ("org.matrix.msc3916.stable", "/_matrix/client/v1/media/download/{server_name}/{media_id}"),
    ("org.matrix.msc4186", "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync"),
    ("org.matrix.simplified_msc3575", "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync"),
    ("uk.tcpip.msc4133.stable", "/_matrix/client/v3/profile/{user_id}/{field}"),
];

/// Answers with what this build speaks; the same for everybody, so that a token is not even looked at.
pub(crate) async fn get() -> RumaResponse<Response> {
    let mut response = Response::new(VERSIONS.map(str::to_owned).to_vec());
    let served = FEATURES.iter().filter(|(_, path)| is_served(path));
    response.unstable_features = served.map(|(name, _)| ((*name).to_owned(), true)).collect();
    RumaResponse(response)
}

//! What guests may ask for (<https://spec.matrix.org/v1.19/client-server-api/#guest-access>): what is not on this list is
//! refused them before any handler sees it.

use axum::http::Method;

/// What follows `/_matrix/client/v3/` (or another version), with `{}` for each parameter. Beside the specification's own list
/// are what tells nothing of anybody and what ends the session.
const ALLOWED: [(&str, &str); 31] = [
    ("GET", "rooms/{}/state"),
    ("GET", "rooms/{}/state/{}"),
    ("GET", "rooms/{}/state/{}/"),
    ("GET", "rooms/{}/state/{}/{}"),
    ("GET", "rooms/{}/context/{}"),
    ("GET", "rooms/{}/event/{}"),
    ("GET", "rooms/{}/messages"),
    ("GET", "rooms/{}/members"),
    ("GET", "sync"),
    ("GET", "media/download/{}/{}"),
    ("GET", "media/download/{}/{}/{}"),
    ("GET", "media/thumbnail/{}/{}"),
    ("GET", "media/config"),
    ("POST", "rooms/{}/join"),
    ("POST", "join/{}"),
    ("POST", "rooms/{}/leave"),
    ("PUT", "rooms/{}/send/{}/{}"),
    ("PUT", "rooms/{}/state/{}"),
    ("PUT", "rooms/{}/state/{}/"),
    ("PUT", "rooms/{}/state/{}/{}"),
    ("PUT", "sendToDevice/{}/{}"),
    ("GET", "devices"),
    ("GET", "devices/{}"),
    ("PUT", "devices/{}"),
    ("GET", "account/whoami"),
    ("POST", "keys/upload"),
    ("POST", "keys/query"),
    ("POST", "keys/claim"),
    ("GET", "capabilities"),
    ("POST", "logout"),
    ("POST", "logout/all"),
];

/// Whether a guest may ask for `path`, which matched `route`.
pub(super) fn may(method: &Method, route: &str, path: &str) -> bool {
    let Some(rest) = rest(route) else { return false };
    if rest.starts_with("profile/") {
        // Reading needs no token; of what is written, guests have a name only.
        return *method == Method::GET || path.ends_with("/displayname");
    }
    let method = if *method == Method::HEAD { "GET" } else { method.as_str() };
    ALLOWED.iter().any(|(allowed, shape)| *allowed == method && has_shape(rest, shape))
}

/// What follows the version in a path of clients.
fn rest(route: &str) -> Option<&str> {
    route.strip_prefix("/_matrix/client/")?.split_once('/').map(|(_, rest)| rest)
}

fn has_shape(route: &str, shape: &str) -> bool {
    let mut shape = shape.split('/');
    let is_like = |part: &str, shape: &str| if shape == "{}" { part.starts_with('{') } else { part == shape };
    route.split('/').all(|part| shape.next().is_some_and(|shape| is_like(part, shape))) && shape.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_may_read_and_speak_and_little_else() {
        let may = |method: &str, route: &str, path: &str| may(&Method::try_from(method).unwrap(), route, path);
        for (method, route, allowed) in [
            ("GET", "/_matrix/client/v3/rooms/{room_id}/messages", true),
            ("GET", "/_matrix/client/r0/rooms/{room_id}/state/{event_type}/{state_key}", true),
            ("POST", "/_matrix/client/v3/rooms/{room_id}/join", true),
            ("POST", "/_matrix/client/v3/rooms/{room_id}/invite", false),
            ("POST", "/_matrix/client/v3/createRoom", false),
            ("GET", "/_matrix/client/v3/sync", true),
            ("DELETE", "/_matrix/client/v3/devices/{device_id}", false),
            ("GET", "/_matrix/client/v1/media/download/{server_name}/{media_id}", true),
            ("POST", "/_matrix/media/v3/upload", false),
        ] {
            assert_eq!(may(method, route, route), allowed, "{method} {route}");
        }
        let profile = "/_matrix/client/v3/profile/{user_id}/{field}";
        assert!(may("PUT", profile, "/_matrix/client/v3/profile/@1:localhost/displayname"));
        assert!(!may("PUT", profile, "/_matrix/client/v3/profile/@1:localhost/avatar_url"));
    }
}

//! What clients keep with an account: account data, tags and filters
//! (<https://spec.matrix.org/v1.19/client-server-api/#client-config>).

mod filter;
mod global;
mod room;
mod tags;

#[cfg(test)]
mod tests;

use axum::http::Method;

use crate::http::Routes;

const GLOBAL: &[&str] = &[
    "/_matrix/client/v3/user/{user_id}/account_data/{event_type}",
    "/_matrix/client/r0/user/{user_id}/account_data/{event_type}",
];
const ROOM: &[&str] = &[
    "/_matrix/client/v3/user/{user_id}/rooms/{room_id}/account_data/{event_type}",
    "/_matrix/client/r0/user/{user_id}/rooms/{room_id}/account_data/{event_type}",
];

/// The endpoints of this area.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .at(Method::GET, GLOBAL, global::get)
        .at(Method::PUT, GLOBAL, global::put)
        .at(
            Method::DELETE,
            &["/_matrix/client/unstable/org.matrix.msc3391/user/{user_id}/account_data/{event_type}"],
            global::delete,
        )
        .at(Method::GET, ROOM, room::get)
        .at(Method::PUT, ROOM, room::put)
        .at(
            Method::DELETE,
            &["/_matrix/client/unstable/org.matrix.msc3391/user/{user_id}/rooms/{room_id}/account_data/{event_type}"],
            room::delete,
        )
        .add(tags::get)
        .add(tags::put)
        .add(tags::delete)
        .at(
            Method::POST,
            &["/_matrix/client/v3/user/{user_id}/filter", "/_matrix/client/r0/user/{user_id}/filter"],
            filter::post,
        )
        .at(
            Method::GET,
            &[
                "/_matrix/client/v3/user/{user_id}/filter/{filter_id}",
                "/_matrix/client/r0/user/{user_id}/filter/{filter_id}",
            ],
            filter::get,
        )
}

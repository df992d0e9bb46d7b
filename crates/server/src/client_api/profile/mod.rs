//! What users say of themselves (<https://spec.matrix.org/v1.19/client-server-api/#profiles>).

mod field;
mod whole;

#[cfg(test)]
mod tests;

use axum::http::Method;

use crate::http::Routes;

/// Where one field is served: since the first version, since fields may have any name, and under the name of the proposal.
const FIELD: &[&str] = &[
    "/_matrix/client/v3/profile/{user_id}/{field}",
    "/_matrix/client/r0/profile/{user_id}/{field}",
    "/_matrix/client/unstable/uk.tcpip.msc4133/profile/{user_id}/{field}",
];

/// The endpoints of this area.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .at(
            Method::GET,
            &[
                "/_matrix/client/v3/profile/{user_id}",
                "/_matrix/client/r0/profile/{user_id}",
                "/_matrix/client/unstable/uk.tcpip.msc4133/profile/{user_id}",
            ],
            whole::get,
        )
        .at(Method::GET, FIELD, field::get)
        .at(Method::PUT, FIELD, field::put)
        .at(Method::DELETE, FIELD, field::delete)
}

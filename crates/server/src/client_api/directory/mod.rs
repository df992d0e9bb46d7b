//! Finding other users of this server (<https://spec.matrix.org/v1.19/client-server-api/#user-directory>).

mod search;
mod visible;

#[cfg(test)]
mod tests;

use crate::http::Routes;

pub(crate) use visible::share_a_room;

/// The endpoints of this area.
pub(crate) fn routes() -> Routes {
    Routes::new().add(search::post)
}

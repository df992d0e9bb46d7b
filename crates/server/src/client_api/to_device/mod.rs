//! Messages to devices (<https://spec.matrix.org/v1.19/client-server-api/#send-to-device-messaging>).

mod send;

#[cfg(test)]
mod tests;

use crate::http::Routes;

/// The routes of this area.
pub(crate) fn routes() -> Routes {
    Routes::new().add(send::put)
}

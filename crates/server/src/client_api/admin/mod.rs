//! What administrators of this server may ask and do
//! (<https://spec.matrix.org/v1.19/client-server-api/#server-administration>).

mod lock;
mod suspend;
mod whois;

#[cfg(test)]
mod tests;

use crate::http::Routes;

/// The endpoints of this area.
pub(crate) fn routes() -> Routes {
    Routes::new().add(whois::get).add(lock::get).add(lock::put).add(suspend::get).add(suspend::put)
}

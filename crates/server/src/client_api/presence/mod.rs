//! Who is here (<https://spec.matrix.org/v1.19/client-server-api/#presence>).

mod status;

#[cfg(test)]
mod tests;

use crate::http::Routes;

/// The endpoints of this area.
pub(crate) fn routes() -> Routes {
    Routes::new().add(status::get).add(status::put)
}

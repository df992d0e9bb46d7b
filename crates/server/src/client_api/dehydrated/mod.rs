//! Dehydrated devices (<https://github.com/matrix-org/matrix-spec-proposals/pull/3814>).

mod device;
mod events;

#[cfg(test)]
mod tests;

use crate::http::Routes;

/// The routes of this area.
pub(crate) fn routes() -> Routes {
    Routes::new().add(device::put).add(device::get).add(device::delete).add(events::post)
}

//! A user's devices (<https://spec.matrix.org/v1.19/client-server-api/#device-management>).

mod delete_many;
mod list;
mod one;

#[cfg(test)]
mod tests;

use accounts::session::Device;
use axum::http::Method;
use ruma::MilliSecondsSinceUnixEpoch;
use ruma::UInt;

use crate::http::Routes;

/// The endpoints of this area.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .add(list::get)
        .add(one::get)
        .add(one::put)
        .at(
            Method::DELETE,
            &["/_matrix/client/v3/devices/{device_id}", "/_matrix/client/r0/devices/{device_id}"],
            one::delete,
        )
        .at(
            Method::POST,
            &["/_matrix/client/v3/delete_devices", "/_matrix/client/r0/delete_devices"],
            delete_many::post,
        )
}

/// A device as clients see it.
fn shown(device: Device) -> ruma::api::client::device::Device {
    let mut shown = ruma::api::client::device::Device::new(device.id);
    shown.display_name = device.display_name;
    if let Some(seen) = device.seen {
        shown.last_seen_ts = UInt::new(seen.at.as_millis()).map(MilliSecondsSinceUnixEpoch);
        shown.last_seen_ip = Some(seen.ip);
    }
    shown
}

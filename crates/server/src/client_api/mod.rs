//! The client-server API (<https://spec.matrix.org/v1.19/client-server-api/>): one endpoint, one file. Handlers translate
//! and make one call; they decide nothing.

mod account;
mod admin;
mod dehydrated;
mod devices;
mod directory;
mod key_backup;
mod keys;
pub(crate) mod login;
mod media;
mod notice;
mod presence;
mod profile;
mod push;
mod registration;
mod rooms_act;
mod rooms_read;
mod server;
mod sync;
mod to_device;
pub(crate) mod uia;
mod user_data;

use crate::http::routes::Routes;

/// The routes of this API. An area is a folder whose `mod.rs` has a function like this one; its line is here.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .merge(account::routes())
        .merge(admin::routes())
        .merge(dehydrated::routes())
        .merge(devices::routes())
        .merge(directory::routes())
        .merge(key_backup::routes())
        .merge(keys::routes())
        .merge(login::routes())
        .merge(media::routes())
        .merge(notice::routes())
        .merge(presence::routes())
        .merge(profile::routes())
        .merge(push::routes())
        .merge(registration::routes())
        .merge(rooms_act::routes())
        .merge(rooms_read::routes())
        .merge(server::routes())
        .merge(sync::routes())
        .merge(to_device::routes())
        .merge(user_data::routes())
}

//! The client-server API (<https://spec.matrix.org/v1.19/client-server-api/>): one endpoint, one file. Handlers translate
//! and make one call; they decide nothing.

mod media;
mod rooms_read;
mod server;
mod sync;

use crate::http::routes::Routes;

/// The routes of this API. An area is a folder whose `mod.rs` has a function like this one; its line is here.
pub(crate) fn routes() -> Routes {
    Routes::new().merge(server::routes()).merge(media::routes()).merge(sync::routes()).merge(rooms_read::routes())
}

//! The content repository (<https://spec.matrix.org/v1.19/client-server-api/#content-repository>).
//!
//! Where to go: `receive` and `send` move contents between a request or an answer and the repository, piece by piece;
//! `range` reads which part is wanted; `headers` says how browsers are to treat what somebody uploaded.

mod config;
mod create;
mod download;
mod frozen;
mod headers;
mod range;
mod receive;
mod send;
mod thumbnail;
mod upload;
mod upload_created;

#[cfg(test)]
mod tests;

use axum::http::Method;

use crate::http::Routes;

/// The routes of this area.
pub(crate) fn routes() -> Routes {
    const FROZEN: [&str; 6] = [
        "/_matrix/media/v3/download/{server_name}/{media_id}",
        "/_matrix/media/r0/download/{server_name}/{media_id}",
        "/_matrix/media/v3/download/{server_name}/{media_id}/{file_name}",
        "/_matrix/media/r0/download/{server_name}/{media_id}/{file_name}",
        "/_matrix/media/v3/thumbnail/{server_name}/{media_id}",
        "/_matrix/media/r0/thumbnail/{server_name}/{media_id}",
    ];
    const UPLOAD: [&str; 2] = ["/_matrix/media/v3/upload", "/_matrix/media/r0/upload"];
    const UPLOAD_CREATED: [&str; 1] = ["/_matrix/media/v3/upload/{server_name}/{media_id}"];
    const CONFIG: [&str; 3] =
        ["/_matrix/client/v1/media/config", "/_matrix/media/v3/config", "/_matrix/media/r0/config"];
    const DOWNLOAD: [&str; 1] = ["/_matrix/client/v1/media/download/{server_name}/{media_id}"];
    const DOWNLOAD_AS: [&str; 1] = ["/_matrix/client/v1/media/download/{server_name}/{media_id}/{file_name}"];
    const THUMBNAIL: [&str; 1] = ["/_matrix/client/v1/media/thumbnail/{server_name}/{media_id}"];
    Routes::new()
        .at(Method::POST, &UPLOAD, upload::post)
        .at(Method::PUT, &UPLOAD_CREATED, upload_created::put)
        .add(create::post)
        .at(Method::GET, &CONFIG, config::get)
        .at(Method::GET, &DOWNLOAD, download::get)
        .at(Method::GET, &DOWNLOAD_AS, download::get_as)
        .at(Method::GET, &THUMBNAIL, thumbnail::get)
        .at(Method::GET, &FROZEN, frozen::get)
}

//! Logging in and out (<https://spec.matrix.org/v1.19/client-server-api/#legacy-login>).

mod flows;
mod get_token;
mod log_in;
mod logout;
mod logout_all;
mod refresh;

#[cfg(test)]
mod tests;

use accounts::{LoggedIn, TokenKind};
use axum::http::Method;
use ruma::{OwnedDeviceId, OwnedServerName, OwnedUserId};
use serde::Serialize;

use crate::http::Routes;

/// The endpoints of this area.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .add(flows::get)
        .at(Method::POST, &["/_matrix/client/v3/login", "/_matrix/client/r0/login"], log_in::post)
        .at(
            Method::POST,
            &["/_matrix/client/v1/login/get_token", "/_matrix/client/unstable/org.matrix.msc3882/login/get_token"],
            get_token::post,
        )
        .add(logout::post)
        .add(logout_all::post)
        .add(refresh::post)
}

/// A session that has begun, or only the account that was made.
#[derive(Debug, Serialize)]
pub(crate) struct SessionBody {
    user_id: OwnedUserId,
    /// Deprecated; old clients and scripts still read it.
    home_server: OwnedServerName,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_id: Option<OwnedDeviceId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in_ms: Option<u64>,
}

impl SessionBody {
    pub(crate) fn of(session: LoggedIn) -> Self {
        let LoggedIn { user_id, device_id, access_token, refresh_token, expires_in } = session;
        let expires_in_ms = expires_in.map(|duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
        let (access_token, device_id) = (Some(access_token), Some(device_id));
        Self { access_token, device_id, refresh_token, expires_in_ms, ..Self::without_session(user_id) }
    }

    pub(crate) fn without_session(user_id: OwnedUserId) -> Self {
        let home_server = user_id.server_name().to_owned();
        Self { user_id, home_server, access_token: None, device_id: None, refresh_token: None, expires_in_ms: None }
    }
}

/// What `refresh_token` in a body asks for.
pub(crate) fn token_kind(refresh_token: Option<bool>) -> TokenKind {
    if refresh_token == Some(true) { TokenKind::Refreshable } else { TokenKind::Lasting }
}

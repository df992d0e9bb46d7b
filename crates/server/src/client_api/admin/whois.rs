//! `GET /_matrix/client/v3/admin/whois/{userId}`: from where a user is here
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3adminwhoisuserid>).

use std::collections::BTreeMap;

use accounts::session::Device;
use axum::extract::State;
use ruma::api::client::admin::get_user_info::v3::{ConnectionInfo, DeviceInfo, Request, Response, SessionInfo};
use ruma::{MilliSecondsSinceUnixEpoch, UInt};

use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Answers administrators, and users about themselves.
pub(crate) async fn get(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<Request>,
) -> Result<RumaResponse<Response>, Error> {
    let devices = state.accounts.whois(&caller, &body.user_id).await?;
    let mut response = Response::new();
    response.user_id = Some(body.user_id);
    response.devices = devices.into_iter().map(shown).collect::<BTreeMap<_, _>>();
    Ok(RumaResponse(response))
}

fn shown(device: Device) -> (String, DeviceInfo) {
    let mut connection = ConnectionInfo::new();
    if let Some(seen) = device.seen {
        connection.ip = Some(seen.ip);
        connection.last_seen = UInt::new(seen.at.as_millis()).map(MilliSecondsSinceUnixEpoch);
        connection.user_agent = seen.user_agent;
    }
    let mut session = SessionInfo::new();
    session.connections.push(connection);
    let mut info = DeviceInfo::new();
    info.sessions.push(session);
    (device.id.to_string(), info)
}

//! `GET /_matrix/client/v3/keys/changes`: whose keys have changed since a sync token
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3keyschanges>).

use axum::extract::State;
use ruma::api::client::keys::get_key_changes::v3::{Request, Response};
use sync::Viewer;

use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Answers with all changes since `from`. Those after `to` are among them: the client asks for the users' present keys in
/// any case.
pub(crate) async fn get(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<Request>,
) -> Result<RumaResponse<Response>, Error> {
    let viewer = Viewer { user: caller.user_id.clone(), device: caller.device_id.clone() };
    let changes = state.syncer.key_changes(&viewer, [&body.from, &body.to]).await?;
    Ok(RumaResponse(Response::new(changes.changed, changes.left)))
}

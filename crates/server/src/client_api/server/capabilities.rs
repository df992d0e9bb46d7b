//! `GET /_matrix/client/v3/capabilities`: what users of this server can do
//! (<https://spec.matrix.org/v1.19/client-server-api/#capabilities-negotiation>).

use axum::Json;
use axum::extract::State;
use ruma::RoomVersionId;
use ruma::api::client::discovery::get_capabilities::v3::{
    AccountModerationCapability, Capabilities, ChangePasswordCapability, GetLoginTokenCapability,
    ProfileFieldsCapability, Request, RoomVersionStability, RoomVersionsCapability, ThirdPartyIdChangesCapability,
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::config::RoomVersion;
use crate::http::{AppState, Error, Ruma, is_served};

/// What is answered.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    capabilities: Value,
}

/// Answers with what the caller can do.
pub(crate) async fn get(
    State(state): State<AppState>,
    Ruma { caller, .. }: Ruma<Request>,
) -> Result<Json<Answer>, Error> {
    let mut capabilities = Capabilities::new();
    let versions = RoomVersion::all().filter_map(|version| RoomVersionId::try_from(version.as_str()).ok());
    capabilities.room_versions = RoomVersionsCapability::new(
        state.rooms.options().default_version.clone(),
        versions.map(|version| (version, RoomVersionStability::Stable)).collect(),
    );
    capabilities.change_password = ChangePasswordCapability::new(is_served("/_matrix/client/v3/account/password"));
    capabilities.get_login_token = GetLoginTokenCapability::new(is_served("/_matrix/client/v1/login/get_token"));
    capabilities.profile_fields = Some(ProfileFieldsCapability::new(true));
    // Third-party identifiers are not kept here.
    capabilities.thirdparty_id_changes = ThirdPartyIdChangesCapability::new(false);
    if caller.is_admin {
        let mut moderation = AccountModerationCapability::default();
        moderation.suspend = is_served("/_matrix/client/v1/admin/suspend/{user_id}");
        moderation.lock = is_served("/_matrix/client/v1/admin/lock/{user_id}");
        capabilities.account_moderation = moderation;
    }
    let mut capabilities = serde_json::to_value(&capabilities).map_err(|error| Error::fault(&error))?;
    // Ruma leaves out what is as it is by default; clients like to be told.
    if let Some(all) = capabilities.as_object_mut() {
        for name in ["m.change_password", "m.set_displayname", "m.set_avatar_url"] {
            all.entry(name).or_insert_with(|| json!({ "enabled": true }));
        }
    }
    Ok(Json(Answer { capabilities }))
}

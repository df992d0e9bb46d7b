//! `GET /_matrix/client/v3/capabilities`: what users of this server can do
//! (<https://spec.matrix.org/v1.19/client-server-api/#capabilities-negotiation>).

use axum::extract::State;
use ruma::RoomVersionId;
use ruma::api::client::discovery::get_capabilities::v3::{
    AccountModerationCapability, Capabilities, ChangePasswordCapability, GetLoginTokenCapability,
    ProfileFieldsCapability, Request, Response, RoomVersionStability, RoomVersionsCapability,
    ThirdPartyIdChangesCapability,
};

use crate::config::RoomVersion;
use crate::http::{AppState, Ruma, RumaResponse, is_served};

/// Answers with what the caller can do.
pub(crate) async fn get(State(state): State<AppState>, Ruma { caller, .. }: Ruma<Request>) -> RumaResponse<Response> {
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
    RumaResponse(Response::new(capabilities))
}

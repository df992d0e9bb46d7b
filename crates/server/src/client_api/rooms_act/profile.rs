//! How members present themselves: from accounts to rooms, which do not know each other.

use rooms::act::Profile;
use ruma::UserId;

use crate::http::{AppState, Error};

/// The profile of `user` as member events show it; empty for who is of another server.
pub(super) async fn of(state: &AppState, user: &UserId) -> Result<Profile, Error> {
    if user.server_name() != state.server_name() {
        return Ok(Profile::default());
    }
    let profile = state.accounts.profile(user).await?.unwrap_or_default();
    Ok(Profile { displayname: profile.display_name(), avatar_url: profile.avatar_url() })
}

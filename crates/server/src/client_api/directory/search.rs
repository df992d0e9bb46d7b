//! `POST /_matrix/client/v3/user_directory/search`
//! (<https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3user_directorysearch>).

use axum::Json;
use axum::extract::State;
use base::limits;
use ruma::OwnedUserId;
use ruma::api::client::user_directory::search_users::v3::Request;
use serde::Serialize;

use super::visible;
use crate::http::{AppState, Error, Ruma};

/// A user. Ruma's type for it has no address of a picture that is none, and people set such.
#[derive(Debug, Serialize)]
pub(crate) struct User {
    user_id: OwnedUserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    avatar_url: Option<String>,
}

/// Those found.
#[derive(Debug, Serialize)]
pub(crate) struct Body {
    results: Vec<User>,
    limited: bool,
}

/// Answers with those found whom the caller may know of.
pub(crate) async fn post(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<Request>,
) -> Result<Json<Body>, Error> {
    caller.is_no_guest()?;
    let most = usize::try_from(u64::from(body.limit)).unwrap_or(usize::MAX).min(limits::DIRECTORY_RESULTS);
    let found = state.accounts.search_directory(&body.search_term).await?;
    let (found, limited) = visible::those_known(&state, &caller.user_id, found, most).await?;
    let results = found.into_iter().map(|entry| {
        let accounts::DirectoryEntry { user_id, display_name, avatar_url } = entry;
        User { user_id, display_name, avatar_url }
    });
    Ok(Json(Body { results: results.collect(), limited }))
}

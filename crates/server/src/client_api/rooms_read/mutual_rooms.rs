//! `GET /mutual_rooms`: where two users both are
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mutual_rooms>).

use axum::extract::State;
use ruma::api::client::membership::get_mutual_rooms::{unstable, v1};
use ruma::{OwnedRoomId, UInt, UserId};

use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Answers with all of them: nobody is in so many rooms that pages are needed.
pub(crate) async fn get(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<v1::Request>,
) -> Result<RumaResponse<v1::Response>, Error> {
    let joined = mutual(&state, &caller.user_id, &body.user_id, body.from.as_deref()).await?;
    let count = UInt::try_from(joined.len()).unwrap_or(UInt::MAX);
    Ok(RumaResponse(v1::Response::new(count, joined)))
}

/// The same under the proposal's name.
pub(crate) async fn get_unstable(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<unstable::Request>,
) -> Result<RumaResponse<unstable::Response>, Error> {
    let joined = mutual(&state, &caller.user_id, &body.user_id, body.from.as_deref()).await?;
    Ok(RumaResponse(unstable::Response::new(joined)))
}

async fn mutual(
    state: &AppState,
    user: &UserId,
    other: &UserId,
    from: Option<&str>,
) -> Result<Vec<OwnedRoomId>, Error> {
    if user == other || from.is_some() {
        return Err(Error::refusal(
            "M_INVALID_PARAM",
            "this takes the id of another user, and there are no more pages",
        ));
    }
    Ok(state.rooms.mutual_rooms(user, other).await?)
}

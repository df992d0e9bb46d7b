//! `PUT` and `DELETE /_matrix/client/v3/directory/room/{roomAlias}`
//! (<https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3directoryroomroomalias>).

use axum::extract::State;
use ruma::api::client::alias::{create_alias, delete_alias};

use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Gives a room an alias. One that is taken is told with 409.
pub(crate) async fn put(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<create_alias::v3::Request>,
) -> Result<RumaResponse<create_alias::v3::Response>, Error> {
    caller.is_no_guest()?;
    caller.may_act()?;
    state.rooms.set_alias(&body.room_alias, &body.room_id, &caller.user_id).await.map_err(taken)?;
    Ok(RumaResponse(create_alias::v3::Response::new()))
}

/// Takes an alias away.
pub(crate) async fn delete(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<delete_alias::v3::Request>,
) -> Result<RumaResponse<delete_alias::v3::Response>, Error> {
    caller.may_act()?;
    state.rooms.delete_alias(&body.room_alias, &caller.user_id, caller.is_admin).await?;
    Ok(RumaResponse(delete_alias::v3::Response::new()))
}

/// The specification has another status and code for a taken alias here than where a room is made.
fn taken(error: rooms::Error) -> Error {
    match error {
        rooms::Error::Refused(refusal @ rooms::Refusal::AliasTaken) => {
            Error::refusal("M_UNKNOWN", refusal.to_string()).with_status(crate::http::errors::Status::Conflict)
        }
        other => other.into(),
    }
}

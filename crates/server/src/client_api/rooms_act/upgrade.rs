//! `POST /_matrix/client/v3/rooms/{roomId}/upgrade`
//! (<https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidupgrade>).

use axum::extract::State;
use rooms::act::Upgrade;
use ruma::api::client::room::upgrade_room::v3::{Request, Response};

use super::profile;
use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Puts a room of another version in the place of one.
pub(crate) async fn post(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<Request>,
) -> Result<RumaResponse<Response>, Error> {
    caller.is_no_guest()?;
    caller.may_act()?;
    let upgrade = Upgrade {
        sender: caller.user_id.clone(),
        version: body.new_version,
        additional_creators: body.additional_creators,
        profile: profile::of(&state, &caller.user_id).await?,
    };
    let room = state.rooms.upgrade(&body.room_id, &upgrade).await?;
    Ok(RumaResponse(Response::new(room)))
}

//! `POST /_matrix/client/v3/knock/{roomIdOrAlias}` (<https://spec.matrix.org/v1.19/client-server-api/#knocking-on-rooms>).

use axum::extract::State;
use rooms::act::{Change, MembershipChange};
use ruma::api::client::knock::knock_room::v3::{Request, Response};

use super::profile;
use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Asks to be let in.
pub(crate) async fn post(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<Request>,
) -> Result<RumaResponse<Response>, Error> {
    caller.is_no_guest()?;
    caller.may_act()?;
    let room = state.rooms.resolve_alias(&body.room_id_or_alias).await?;
    let mut change = MembershipChange::new(&*caller.user_id, &*caller.user_id, Change::Knock);
    change.reason = body.reason;
    change.profile = profile::of(&state, &caller.user_id).await?;
    state.rooms.set_membership(&room, &change).await?;
    Ok(RumaResponse(Response::new(room)))
}

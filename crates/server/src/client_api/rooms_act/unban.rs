//! `POST /_matrix/client/v3/rooms/{roomId}/unban`
//! (<https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidunban>).

use axum::extract::State;
use rooms::act::{Change, MembershipChange};
use ruma::api::client::membership::unban_user::v3::{Request, Response};

use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Lifts a ban.
pub(crate) async fn post(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<Request>,
) -> Result<RumaResponse<Response>, Error> {
    caller.is_no_guest()?;
    caller.may_act()?;
    let mut change = MembershipChange::new(&*caller.user_id, &*body.user_id, Change::Unban);
    change.reason = body.reason;
    state.rooms.set_membership(&body.room_id, &change).await?;
    Ok(RumaResponse(Response::new()))
}

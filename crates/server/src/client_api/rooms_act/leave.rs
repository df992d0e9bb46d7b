//! `POST /_matrix/client/v3/rooms/{roomId}/leave`
//! (<https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidleave>).

use axum::extract::State;
use rooms::act::{Change, MembershipChange};
use ruma::api::client::membership::leave_room::v3::{Request, Response};

use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Leaves a room, declines an invite or takes a knock back.
pub(crate) async fn post(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<Request>,
) -> Result<RumaResponse<Response>, Error> {
    let mut change = MembershipChange::new(&*caller.user_id, &*caller.user_id, Change::Leave);
    change.reason = body.reason;
    state.rooms.set_membership(&body.room_id, &change).await?;
    Ok(RumaResponse(Response::new()))
}

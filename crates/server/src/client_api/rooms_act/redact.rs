//! `PUT /_matrix/client/v3/rooms/{roomId}/redact/{eventId}/{txnId}`
//! (<https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3roomsroomidredacteventidtxnid>).

use axum::extract::State;
use rooms::append::SentAs;
use ruma::api::client::redact::redact_event::v3::{Request, Response};

use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Takes back what was said. Who is suspended may still do that to their own words, and has no power over others'.
pub(crate) async fn put(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<Request>,
) -> Result<RumaResponse<Response>, Error> {
    let sent_as = SentAs::new(&caller.user_id, &caller.device_id, "redact", &body.room_id, &body.txn_id);
    let reason = body.reason.as_deref();
    let own = caller.may_act().is_err();
    let id = state.rooms.redact(&body.room_id, &caller.user_id, &body.event_id, reason, own, Some(sent_as)).await?;
    Ok(RumaResponse(Response::new(id)))
}

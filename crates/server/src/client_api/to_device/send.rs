//! `PUT /_matrix/client/v3/sendToDevice/{eventType}/{txnId}`: sends messages to devices
//! (<https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3sendtodeviceeventtypetxnid>).

use accounts::to_device::Sending;
use axum::extract::State;
use ruma::api::client::to_device::send_event_to_device::v3::{Request, Response};

use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Answers when all messages are durably in their inboxes.
pub(crate) async fn put(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<Request>,
) -> Result<RumaResponse<Response>, Error> {
    let kind = body.event_type.to_string();
    let sending = Sending { user: &caller.user_id, device: &caller.device_id, kind: &kind, transaction: &body.txn_id };
    state.accounts.send_to_device(sending, &body.messages).await?;
    Ok(RumaResponse(Response::new()))
}

//! `POST /_matrix/client/v3/rooms/{roomId}/receipt/{receiptType}/{eventId}`: somebody has read up to an event
//! (<https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidreceiptreceipttypeeventid>).

use axum::extract::State;
use rooms::notice::{NewReceipt, ReceiptKind};
use ruma::api::client::receipt::create_receipt::v3::{ReceiptType, Request, Response};
use ruma::events::receipt::ReceiptThread;

use super::move_marker;
use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Moves the caller's receipt, or their read marker, forward.
pub(crate) async fn post(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<Request>,
) -> Result<RumaResponse<Response>, Error> {
    let kind = match body.receipt_type {
        ReceiptType::Read => ReceiptKind::Read,
        ReceiptType::ReadPrivate => ReceiptKind::Private,
        ReceiptType::FullyRead if body.thread == ReceiptThread::Unthreaded => {
            move_marker(&state, &caller, &body.room_id, &body.event_id).await?;
            return Ok(RumaResponse(Response::new()));
        }
        ReceiptType::FullyRead => return Err(Error::refusal("M_INVALID_PARAM", "a read marker is of no thread")),
        _ => return Err(Error::refusal("M_INVALID_PARAM", "there are no receipts of this type")),
    };
    let thread = body.thread.try_into()?;
    let (user, event, at) = (caller.user_id.clone(), body.event_id, state.store.clock().now());
    state.rooms.read_up_to(&body.room_id, NewReceipt { user, kind, thread, event, at }).await?;
    Ok(RumaResponse(Response::new()))
}

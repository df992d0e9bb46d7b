//! `POST /_matrix/client/v3/rooms/{roomId}/read_markers`: a read marker and receipts at once
//! (<https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidread_markers>).

use axum::extract::State;
use rooms::notice::{NewReceipt, ReceiptKind, Thread};
use ruma::api::client::read_marker::set_read_marker::v3::{Request, Response};

use super::move_marker;
use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Moves what is named forward. The marker first: it may be refused, and then nothing was done; what others see last.
pub(crate) async fn post(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<Request>,
) -> Result<RumaResponse<Response>, Error> {
    if let Some(event) = &body.fully_read {
        move_marker(&state, &caller, &body.room_id, event).await?;
    }
    let at = state.store.clock().now();
    let receipts = [(ReceiptKind::Private, body.private_read_receipt), (ReceiptKind::Read, body.read_receipt)];
    for (kind, event) in receipts {
        let Some(event) = event else { continue };
        let receipt = NewReceipt { user: caller.user_id.clone(), kind, thread: Thread::Unthreaded, event, at };
        state.rooms.read_up_to(&body.room_id, receipt).await?;
    }
    Ok(RumaResponse(Response::new()))
}

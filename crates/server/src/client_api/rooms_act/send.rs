//! `PUT /_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId}`
//! (<https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3roomsroomidsendeventtypetxnid>).

use axum::extract::State;
use rooms::act::{Saying, read_content};
use rooms::append::SentAs;
use ruma::api::client::message::send_message_event::v3::{Request, Response};

use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Says something.
pub(crate) async fn put(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<Request>,
) -> Result<RumaResponse<Response>, Error> {
    caller.may_act()?;
    let saying = Saying {
        sender: caller.user_id.clone(),
        kind: body.event_type.to_string().into(),
        state_key: None,
        content: read_content(body.body.json())?,
        sent_as: Some(SentAs::new(&caller.user_id, &caller.device_id, "send", &body.room_id, &body.txn_id)),
    };
    let id = state.rooms.send(&body.room_id, saying).await?;
    Ok(RumaResponse(Response::new(id)))
}

//! `POST /_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device/{device_id}/events`: what came for the dehydrated
//! device (<https://github.com/matrix-org/matrix-spec-proposals/pull/3814>).

use axum::extract::State;
use base::Position;
use ruma::api::client::dehydrated_device::get_events::unstable::{Request, Response};
use ruma::serde::Raw;

use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Answers with messages after those that the client has; it has all when there are none.
pub(crate) async fn post(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<Request>,
) -> Result<RumaResponse<Response>, Error> {
    let since = match &body.next_batch {
        Some(token) => {
            let position = token.strip_prefix('d').and_then(|position| position.parse().ok());
            Some(Position(position.ok_or_else(|| Error::refusal("M_INVALID_PARAM", "`next_batch` is none of ours"))?))
        }
        None => None,
    };
    let inbox = state.accounts.dehydrated_events(&caller.user_id, &body.device_id, since).await?;
    let mut response = Response::new(inbox.messages.into_iter().map(Raw::from_json).collect());
    response.next_batch = Some(format!("d{}", inbox.next));
    Ok(RumaResponse(response))
}

//! `GET /room_summary/{roomIdOrAlias}`: a room from outside
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1room_summaryroomidoralias>).

use axum::extract::State;
use ruma::api::client::room::get_summary::v1::{Request, Response};

use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Where clients from before it was specified ask for it.
pub(crate) const UNSTABLE: [&str; 1] = ["/_matrix/client/unstable/im.nheko.summary/summary/{room_id_or_alias}"];

/// Answers with what everybody may know of the room who may look at it.
pub(crate) async fn get(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<Request>,
) -> Result<RumaResponse<Response>, Error> {
    let user = caller.as_ref().map(|caller| &*caller.user_id);
    let (summary, membership) = state.rooms.summary(&body.room_id_or_alias, user).await?;
    let mut response = Response::new(summary);
    response.membership = membership.map(|membership| membership.as_str().into());
    Ok(RumaResponse(response))
}

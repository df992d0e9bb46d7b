//! `GET /rooms/{roomId}/members`: who is, was or is to be in the room, now or at a point
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidmembers>).

use axum::extract::State;
use rooms::read::{Member, Token};
use ruma::api::client::membership::get_member_events::v3::{Request, Response};

use super::eyes::raw;
use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Answers with their membership events.
pub(crate) async fn get(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<Request>,
) -> Result<RumaResponse<Response>, Error> {
    let (mut room, access) = state.rooms.readable(&body.room_id, &caller.user_id).await?;
    let mut end = room.end_for(access).await?;
    if let Some(at) = &body.at {
        end = end.min(Token::of_room(at, state.store.partition_of(body.room_id.as_str()))?);
    }
    let root = room.state_at(end.0).await?;
    let wanted = |membership: &str| {
        body.membership.as_ref().is_none_or(|asked| asked.as_str() == membership)
            && body.not_membership.as_ref().is_none_or(|not| not.as_str() != membership)
    };
    let members = room.members_at(root, wanted).await?;
    let events: Vec<_> = members.into_iter().map(|Member { stored, .. }| stored).collect();
    Ok(RumaResponse(Response::new(raw(room.render_state(&events, true).await?))))
}

//! `GET /rooms/{roomId}/joined_members`: who is in the room, by the names they have there
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidjoined_members>).

use axum::extract::State;
use rooms::Refusal;
use ruma::api::client::membership::joined_members::v3::{Request, Response, RoomMember};

use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Answers who is in the room, to those who are.
pub(crate) async fn get(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<Request>,
) -> Result<RumaResponse<Response>, Error> {
    let mut room = state.rooms.read(&body.room_id).await?.ok_or(Refusal::NotJoined)?;
    if !room.is_joined(&caller.user_id).await? {
        return Err(Refusal::NotJoined.into());
    }
    let member = |profile: rooms::act::Profile| {
        let mut member = RoomMember::new();
        member.display_name = profile.displayname;
        member.avatar_url = profile.avatar_url.map(Into::into);
        member
    };
    let joined = room.joined_profiles().await?;
    Ok(RumaResponse(Response::new(joined.into_iter().map(|(user, profile)| (user, member(profile))).collect())))
}

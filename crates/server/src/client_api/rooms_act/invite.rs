//! `POST /_matrix/client/v3/rooms/{roomId}/invite`
//! (<https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidinvite>).

use axum::extract::State;
use rooms::Refusal;
use rooms::act::{Change, MembershipChange};
use ruma::api::client::membership::invite_user::v3::{InvitationRecipient, Request, Response};

use super::profile;
use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Invites somebody.
pub(crate) async fn post(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<Request>,
) -> Result<RumaResponse<Response>, Error> {
    caller.is_no_guest()?;
    caller.may_act()?;
    let InvitationRecipient::UserId(invited) = body.recipient else {
        return Err(Refusal::NoIdentityServer.into());
    };
    let mut change = MembershipChange::new(&*caller.user_id, &*invited.user_id, Change::Invite);
    change.reason = invited.reason;
    change.profile = profile::of(&state, &invited.user_id).await?;
    state.rooms.set_membership(&body.room_id, &change).await?;
    Ok(RumaResponse(Response::new()))
}

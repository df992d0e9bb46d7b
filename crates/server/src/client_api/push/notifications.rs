//! `GET /_matrix/client/v3/notifications`: which events a user was notified of
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3notifications>).

use axum::extract::State;
use base::limits;
use rooms::notice::{Notified, NotifiedQuery, Reader};
use ruma::api::client::push::get_notifications::v3::{Notification, Request, Response};
use ruma::serde::Raw;
use ruma::{EventId, MilliSecondsSinceUnixEpoch, OwnedEventId, UInt};

use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Answers with a page of them, newest first.
pub(crate) async fn get(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<Request>,
) -> Result<RumaResponse<Response>, Error> {
    let limit = body.limit.and_then(|limit| usize::try_from(u64::from(limit)).ok());
    let limit = limit.unwrap_or(limits::NOTIFIED_PAGE).clamp(1, limits::NOTIFIED_PAGE_MOST);
    let before = body.from.as_deref().map(|from| token(from).ok_or_else(unknown)).transpose()?;
    let query = NotifiedQuery { before, highlights_only: body.only.as_deref() == Some("highlight"), limit };
    let settings = state.accounts.push_settings(&caller.user_id).await?;
    let (ruleset, ignored, version) = (&settings.ruleset, &*settings.ignored, settings.version);
    let page = state.rooms.notified(Reader { user: &caller.user_id, ruleset, ignored, version }, &query).await?;
    let mut answer = Response::new(page.events.into_iter().filter_map(notification).collect());
    answer.next_token = page.next.map(|(at, id)| format!("{at}_{id}"));
    Ok(RumaResponse(answer))
}

fn notification(notified: Notified) -> Option<Notification> {
    let Notified { at, event, room_id, actions, read, .. } = notified;
    let ts = MilliSecondsSinceUnixEpoch(UInt::try_from(at).unwrap_or(UInt::MAX));
    Some(Notification::new(actions, Raw::from_json(event?), read, room_id, ts))
}

fn token(text: &str) -> Option<(u64, OwnedEventId)> {
    let (at, id) = text.split_once('_')?;
    Some((at.parse().ok()?, EventId::parse(id).ok()?))
}

fn unknown() -> Error {
    Error::refusal("M_INVALID_PARAM", "the token is not one that this server gave out")
}

//! `GET /rooms/{roomId}/threads`: the threads of a room
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidthreads>).

use axum::extract::State;
use rooms::read::relation::Threads;
use rooms::read::{Format, Token};
use ruma::api::client::threads::get_threads::v1::{IncludeThreads, Request, Response};

use super::eyes::{Eyes, limit, raw};
use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Answers with the events with which they begin, the thread with the newest event first.
pub(crate) async fn get(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<Request>,
) -> Result<RumaResponse<Response>, Error> {
    let eyes = Eyes::of(&state, &caller).await?;
    let (mut room, _) = state.rooms.readable(&body.room_id, &caller.user_id).await?;
    let partition = state.store.partition_of(body.room_id.as_str());
    let from = body.from.as_deref().map(|from| Token::of_room(from, partition)).transpose()?.map(|from| from.0);
    let asked = match body.include {
        IncludeThreads::Participated => Threads::Participated,
        _ => Threads::All,
    };
    let limit = limit(body.limit.map(u64::from), 20).max(1);
    let page = room.threads(&eyes.viewer(), asked, from, limit).await?;
    let mut response = Response::new(raw(room.render(&eyes.viewer(), &page.events, Format::CLIENT).await?));
    response.next_batch = page.end.map(|end| end.to_string());
    Ok(RumaResponse(response))
}

//! `GET /rooms/{roomId}/hierarchy`: the rooms of a space
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidhierarchy>).

use axum::extract::State;
use rooms::read::{HierarchyQuery, InSpace};
use ruma::api::client::space::SpaceHierarchyRoomsChunk;
use ruma::api::client::space::get_hierarchy::v1::{Request, Response};

use super::eyes::raw;
use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Answers with a page of them.
pub(crate) async fn get(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<Request>,
) -> Result<RumaResponse<Response>, Error> {
    let query = HierarchyQuery {
        suggested_only: body.suggested_only,
        max_depth: body.max_depth.map(u64::from),
        limit: body.limit.map(u64::from),
        from: body.from.as_deref(),
    };
    let page = state.rooms.hierarchy(&caller.user_id, &body.room_id, &query).await?;
    let chunk = |InSpace { summary, children }: InSpace| SpaceHierarchyRoomsChunk::new(summary, raw(children));
    let mut response = Response::default();
    response.rooms = page.rooms.into_iter().map(chunk).collect();
    response.next_batch = page.next;
    Ok(RumaResponse(response))
}

//! `POST /_matrix/client/v3/rooms/{roomId}/report/{eventId}`, `…/rooms/{roomId}/report` and `…/users/{userId}/report`
//! (<https://spec.matrix.org/v1.19/client-server-api/#reporting-content>).

use axum::extract::State;
use ruma::api::client::reporting::report_user;
use ruma::api::client::room::{report_content, report_room};

use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Reports an event.
pub(crate) async fn event(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<report_content::v3::Request>,
) -> Result<RumaResponse<report_content::v3::Response>, Error> {
    let reason = body.reason.unwrap_or_default();
    state.rooms.report_event(&body.room_id, &body.event_id, &caller.user_id, &reason).await?;
    Ok(RumaResponse(report_content::v3::Response::new()))
}

/// Reports a room.
pub(crate) async fn room(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<report_room::v3::Request>,
) -> Result<RumaResponse<report_room::v3::Response>, Error> {
    state.rooms.report_room(&body.room_id, &caller.user_id, &body.reason).await?;
    Ok(RumaResponse(report_room::v3::Response::new()))
}

/// Reports somebody.
pub(crate) async fn user(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<report_user::v3::Request>,
) -> Result<RumaResponse<report_user::v3::Response>, Error> {
    state.rooms.report_user(&body.user_id, &caller.user_id, &body.reason).await?;
    Ok(RumaResponse(report_user::v3::Response::new()))
}

//! `GET /_matrix/client/v3/user/{userId}/rooms/{roomId}/tags` and `PUT`, `DELETE …/tags/{tag}`: the tags of a room
//! (<https://spec.matrix.org/v1.19/client-server-api/#room-tagging>).

use axum::Json;
use axum::extract::State;
use ruma::api::client::tag::{create_tag, delete_tag, get_tags};
use serde_json::value::to_raw_value;
use serde_json::{Value, json};

use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Answers with the tags.
pub(crate) async fn get(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<get_tags::v3::Request>,
) -> Result<Json<Value>, Error> {
    caller.must_be(&body.user_id)?;
    let tags = state.accounts.tags(&body.user_id, &body.room_id).await?;
    Ok(Json(json!({ "tags": tags })))
}

/// Gives a tag.
pub(crate) async fn put(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<create_tag::v3::Request>,
) -> Result<RumaResponse<create_tag::v3::Response>, Error> {
    caller.must_be(&body.user_id)?;
    let info = to_raw_value(&body.tag_info).map_err(|error| Error::fault(&error))?;
    state.accounts.set_tag(&body.user_id, &body.room_id, &body.tag, &info).await?;
    Ok(RumaResponse(create_tag::v3::Response::new()))
}

/// Takes a tag away.
pub(crate) async fn delete(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<delete_tag::v3::Request>,
) -> Result<RumaResponse<delete_tag::v3::Response>, Error> {
    caller.must_be(&body.user_id)?;
    state.accounts.remove_tag(&body.user_id, &body.room_id, &body.tag).await?;
    Ok(RumaResponse(delete_tag::v3::Response::new()))
}

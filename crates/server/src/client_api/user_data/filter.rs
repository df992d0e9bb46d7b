//! `POST /_matrix/client/v3/user/{userId}/filter` and `GET …/filter/{filterId}`: filters kept with the server
//! (<https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3useruseridfilter>).

use accounts::Refusal;
use axum::Json;
use axum::extract::State;
use ruma::OwnedUserId;
use ruma::api::client::filter::create_filter::v3::Response;
use serde_json::value::RawValue;

use crate::http::{AppState, Caller, Error, JsonBody, Path, RumaResponse};

/// Keeps a filter. What we do not know of it is kept as well.
pub(crate) async fn post(
    State(state): State<AppState>,
    caller: Caller,
    Path(user): Path<OwnedUserId>,
    JsonBody(filter): JsonBody<Box<RawValue>>,
) -> Result<RumaResponse<Response>, Error> {
    caller.must_be(&user)?;
    Ok(RumaResponse(Response::new(state.accounts.put_filter(&user, &filter).await?)))
}

/// Answers with a filter.
pub(crate) async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Path((user, id)): Path<(OwnedUserId, String)>,
) -> Result<Json<Box<RawValue>>, Error> {
    caller.must_be(&user)?;
    let filter = state.accounts.filter(&user, &id).await?;
    Ok(Json(filter.ok_or(Refusal::NotFound { what: "filter" })?))
}

//! `GET /rooms/{roomId}/joined_members`: who is in the room, by the names they have there
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidjoined_members>).
//!
//! Without ruma's answer, which leaves out what a profile lacks; clients look for it and find `null`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use rooms::Refusal;
use rooms::act::Profile;
use ruma::OwnedUserId;
use ruma::api::client::membership::joined_members::v3::Request;
use serde::Serialize;

use crate::http::{AppState, Error, Ruma};

/// What is answered.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    joined: BTreeMap<OwnedUserId, Member>,
}

#[derive(Debug, Serialize)]
struct Member {
    display_name: Option<String>,
    avatar_url: Option<String>,
}

/// Answers who is in the room, to those who are.
pub(crate) async fn get(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<Request>,
) -> Result<Json<Answer>, Error> {
    let mut room = state.rooms.read(&body.room_id).await?.ok_or(Refusal::NotJoined)?;
    if !room.is_joined(&caller.user_id).await? {
        return Err(Refusal::NotJoined.into());
    }
    let member = |Profile { displayname, avatar_url }| Member { display_name: displayname, avatar_url };
    let joined = room.joined_profiles().await?;
    Ok(Json(Answer { joined: joined.into_iter().map(|(user, profile)| (user, member(profile))).collect() }))
}

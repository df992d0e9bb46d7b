//! What people have read and whether they type: receipts, read markers, typing.

mod read_markers;
mod receipt;
mod typing;

#[cfg(test)]
pub(crate) mod tests;

use accounts::Session;
use ruma::{OwnedEventId, RoomId};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::http::{AppState, Error, Routes};

/// The routes of this area.
pub(crate) fn routes() -> Routes {
    Routes::new().add(receipt::post).add(read_markers::post).add(typing::put)
}

/// Where a user keeps the last event that they have read.
const FULLY_READ: &str = "m.fully_read";

#[derive(Deserialize, Serialize)]
struct FullyRead {
    event_id: OwnedEventId,
}

/// Moves a user's read marker, which is account data of a place in a room
/// (<https://spec.matrix.org/v1.19/client-server-api/#fully-read-markers>), forward.
async fn move_marker(state: &AppState, who: &Session, room: &RoomId, event: &OwnedEventId) -> Result<(), Error> {
    loop {
        let before = state.accounts.account_data(&who.user_id, Some(room), FULLY_READ).await?;
        let last = before.as_ref().and_then(|json| serde_json::from_str::<FullyRead>(json.get()).ok());
        let last = last.map(|last| last.event_id);
        if !state.rooms.is_further(room, &who.user_id, event, last.as_ref()).await? {
            return Ok(());
        }
        let content = to_raw_value(&FullyRead { event_id: event.clone() }).map_err(|error| Error::fault(&error))?;
        // Written only if it still is what was compared; somebody else's may be further.
        let is_same = |now: Option<&RawValue>| now.map(RawValue::get) == before.as_deref().map(RawValue::get);
        let change = |now: Option<&RawValue>| Ok(is_same(now).then(|| content.clone()));
        state.accounts.update_account_data(&who.user_id, Some(room), FULLY_READ, change).await?;
        let now = state.accounts.account_data(&who.user_id, Some(room), FULLY_READ).await?;
        if !is_same(now.as_deref()) {
            // It moved: by us, or by who was faster, which the next round compares.
            if now.is_some_and(|now| now.get() == content.get()) {
                return Ok(());
            }
        }
    }
}

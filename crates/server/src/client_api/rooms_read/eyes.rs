//! Who asks, as rooms see them; and what endpoints of rooms have in common.

use std::sync::Arc;

use accounts::Session;
use base::collections::HashSet;
use base::limits;
use rooms::read::Viewer;
use ruma::serde::Raw;
use ruma::{OwnedDeviceId, OwnedUserId};
use serde_json::value::RawValue;
use storage::Direction;

use crate::http::{AppState, Error};

/// Somebody who reads rooms.
pub(crate) struct Eyes {
    user: OwnedUserId,
    device: OwnedDeviceId,
    ignored: Arc<HashSet<OwnedUserId>>,
}

impl Eyes {
    /// Those of who asks.
    pub(crate) async fn of(state: &AppState, session: &Session) -> Result<Self, Error> {
        let ignored = state.accounts.ignored_users(&session.user_id).await?;
        Ok(Self { user: session.user_id.clone(), device: session.device_id.clone(), ignored })
    }

    /// As rooms see them.
    pub(crate) fn viewer(&self) -> Viewer<'_> {
        Viewer { user: &self.user, device: Some(&self.device), ignored: &self.ignored }
    }
}

/// Events as ruma's types have them.
pub(crate) fn raw<T>(events: Vec<Box<RawValue>>) -> Vec<Raw<T>> {
    events.into_iter().map(Raw::from_json).collect()
}

/// A direction as the store has it.
pub(crate) fn direction(direction: ruma::api::Direction) -> Direction {
    match direction {
        ruma::api::Direction::Forward => Direction::Forward,
        ruma::api::Direction::Backward => Direction::Backward,
    }
}

/// How many events are asked for, as far as so many may be.
pub(crate) fn limit(asked: Option<u64>, usual: usize) -> usize {
    asked.map_or(usual, |asked| usize::try_from(asked).unwrap_or(usize::MAX)).min(limits::PAGE_EVENTS)
}

//! What other servers are asked for. Whom to ask, over what, and how often is the business of who implements it; here an
//! answer is believed no further than it proves itself.

use async_trait::async_trait;
use bytes::Bytes;
use ruma::{EventId, OwnedEventId, RoomId};

use crate::event::{KeyRing, NeededKey};

/// The state before an event, as a server has it
/// (<https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1state_idsroomid>).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateIds {
    /// The events of the state.
    pub state: Vec<OwnedEventId>,
    /// What these lean on.
    pub auth_chain: Vec<OwnedEventId>,
}

/// Asks other servers. An answer may be short, late, or a lie; what could not be had is left out. How long to wait is the
/// implementation's to bound.
#[async_trait]
pub trait Fetch: Send + Sync {
    /// Keys of servers, as many of those needed as can be had and believed.
    async fn keys(&self, needed: &[NeededKey]) -> KeyRing;

    /// Events before `latest` and after `earliest`, at most `limit`
    /// (<https://spec.matrix.org/v1.19/server-server-api/#post_matrixfederationv1get_missing_eventsroomid>).
    async fn missing_events(
        &self,
        room: &RoomId,
        latest: &[OwnedEventId],
        earliest: &[OwnedEventId],
        limit: usize,
    ) -> Vec<Bytes>;

    /// Events by id (<https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1eventeventid>).
    async fn events(&self, room: &RoomId, ids: &[OwnedEventId]) -> Vec<Bytes>;

    /// The state before an event.
    async fn state_ids(&self, room: &RoomId, event: &EventId) -> Option<StateIds>;
}

/// Asks nobody: what is not here is not to be had.
#[derive(Clone, Copy, Debug)]
pub struct NoFetch;

#[async_trait]
impl Fetch for NoFetch {
    async fn keys(&self, _: &[NeededKey]) -> KeyRing {
        KeyRing::new()
    }

    async fn missing_events(&self, _: &RoomId, _: &[OwnedEventId], _: &[OwnedEventId], _: usize) -> Vec<Bytes> {
        Vec::new()
    }

    async fn events(&self, _: &RoomId, _: &[OwnedEventId]) -> Vec<Bytes> {
        Vec::new()
    }

    async fn state_ids(&self, _: &RoomId, _: &EventId) -> Option<StateIds> {
        None
    }
}

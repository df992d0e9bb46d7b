//! What a client's connection has been told: of each room up to where, and with what settings. Kept in bounded memory; a
//! connection that was forgotten, also by a restart, begins anew.
//!
//! Of each connection the last two states are kept, because an answer may be lost: the client then comes once more with the
//! position before.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::{Position, limits};
use moka::sync::Cache;
use rooms::RoomNumber;

use crate::error::Refusal;
use crate::handle::Viewer;
use crate::sliding::request::RoomConfig;
use crate::token::Token;

/// How much of something a connection was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// All up to the connection's position.
    Live,
    /// All up to here, in the partition that it is in.
    Until(Position),
}

/// What a connection was told of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RoomSent {
    pub(crate) events: Sent,
    pub(crate) config: Arc<RoomConfig>,
}

/// What a connection was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) rooms: BTreeMap<RoomNumber, RoomSent>,
    pub(crate) account_data: BTreeMap<RoomNumber, Sent>,
    pub(crate) receipts: BTreeMap<RoomNumber, Sent>,
    /// A hash of the rooms in the window of each list.
    pub(crate) windows: BTreeMap<String, u64>,
}

impl State {
    /// Whether it knows of nothing that a client would miss.
    pub(crate) fn is_empty(&self) -> bool {
        self.rooms.is_empty() && self.account_data.is_empty() && self.receipts.is_empty()
    }

    fn entries(&self) -> usize {
        self.rooms.len() + self.account_data.len() + self.receipts.len() + self.windows.len()
    }
}

/// A client's position: which of its connection's states, and how much of everything else it has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pos {
    pub(crate) state: u64,
    pub(crate) token: Token,
}

impl Pos {
    pub(crate) fn parse(pos: &str) -> Result<Self, Refusal> {
        let parts = pos.split_once('/').and_then(|(state, token)| Some((state.parse().ok()?, token)));
        let (state, token) = parts.ok_or(Refusal::UnknownPosition)?;
        let token = Token::parse(token).map_err(|_| Refusal::UnknownPosition)?;
        Ok(Self { state, token })
    }
}

impl std::fmt::Display for Pos {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.state, self.token)
    }
}

/// The states of one connection, the older one first.
type States = Vec<(u64, Arc<State>)>;

/// All connections.
#[derive(Debug)]
pub(crate) struct Connections {
    states: Cache<(Viewer, String), Arc<States>>,
}

impl Default for Connections {
    fn default() -> Self {
        let weigh = |_: &(Viewer, String), states: &Arc<States>| {
            let entries: usize = states.iter().map(|(_, state)| state.entries()).sum();
            u32::try_from(500 + 120 * entries).unwrap_or(u32::MAX)
        };
        let states = Cache::builder().weigher(weigh).max_capacity(limits::SLIDING_CONNECTION_BYTES);
        Self { states: states.time_to_idle(limits::SLIDING_CONNECTION_IDLE).build() }
    }
}

impl Connections {
    /// What the client at `pos` of a connection was told; the number 0 is that of nothing.
    ///
    /// # Errors
    /// [`Refusal::UnknownPosition`].
    pub(crate) fn at(&self, viewer: &Viewer, id: &str, pos: u64) -> Result<Arc<State>, Refusal> {
        if pos == 0 {
            return Ok(Arc::default());
        }
        let states = self.states.get(&(viewer.clone(), id.to_owned())).ok_or(Refusal::UnknownPosition)?;
        let state = states.iter().find(|(number, _)| *number == pos);
        state.map(|(_, state)| Arc::clone(state)).ok_or(Refusal::UnknownPosition)
    }

    /// Keeps what a client at `pos` is told now, and says under which number.
    pub(crate) fn put(&self, viewer: &Viewer, id: &str, pos: u64, was: &Arc<State>, state: Arc<State>) -> u64 {
        if state.is_empty() || (pos > 0 && Arc::ptr_eq(was, &state)) {
            return if state.is_empty() { 0 } else { pos };
        }
        let key = (viewer.clone(), id.to_owned());
        let known = self.states.get(&key);
        // Also above the numbers of answers that were lost, so that none stands for two states.
        let last = known.iter().flat_map(|states| states.iter()).map(|(number, _)| *number).max().unwrap_or_default();
        let next = last.max(pos) + 1;
        let mut states: States = if pos > 0 { vec![(pos, Arc::clone(was))] } else { Vec::new() };
        states.push((next, state));
        self.states.insert(key, Arc::new(states));
        next
    }
}

#[cfg(test)]
mod tests {
    use base::Positions;
    use ruma::{owned_device_id, owned_user_id};

    use super::*;

    fn state(room: u64) -> Arc<State> {
        let receipts = [(RoomNumber(room), Sent::Live)].into();
        Arc::new(State { receipts, ..State::default() })
    }

    #[test]
    fn an_answer_that_was_lost_may_be_asked_for_again_and_older_ones_are_gone() {
        let connections = Connections::default();
        let viewer = Viewer { user: owned_user_id!("@alice:hs"), device: owned_device_id!("A") };
        let nothing = connections.at(&viewer, "", 0).unwrap();
        let first = connections.put(&viewer, "", 0, &nothing, state(1));
        let was = connections.at(&viewer, "", first).unwrap();
        assert_eq!(connections.put(&viewer, "", first, &was, Arc::clone(&was)), first, "nothing is new");
        let lost = connections.put(&viewer, "", first, &was, state(2));
        let again = connections.put(&viewer, "", first, &connections.at(&viewer, "", first).unwrap(), state(3));
        assert!(again > lost, "the lost answer's number stands for nothing else");
        assert!(connections.at(&viewer, "", lost).is_err());
        let was = connections.at(&viewer, "", again).unwrap();
        connections.put(&viewer, "", again, &was, state(4));
        assert!(connections.at(&viewer, "", first).is_err());
        assert!(connections.at(&viewer, "other", again).is_err());
    }

    #[test]
    fn positions_are_read_back() {
        let pos = Pos { state: 7, token: Token::at(Positions::new(vec![Position(12)])) };
        assert_eq!(pos.to_string(), "7/s12");
        assert_eq!(Pos::parse("7/s12"), Ok(pos));
        for wrong in ["", "7", "/s12", "7/", "x/s12", "7/x"] {
            assert_eq!(Pos::parse(wrong), Err(Refusal::UnknownPosition));
        }
    }
}

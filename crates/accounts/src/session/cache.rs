//! Sessions by their access token, in memory.

use base::limits;

use crate::fresh::Fresh;
use crate::session::KnownSession;
use crate::session::token::TokenHash;

/// The sessions that are known.
pub(crate) type SessionCache = Fresh<TokenHash, KnownSession>;

/// An empty memory of sessions.
pub(crate) fn session_cache() -> SessionCache {
    Fresh::new(limits::SESSION_CACHE_BYTES, limits::SESSION_CACHE_AGE, weight)
}

/// About what a session takes in memory, in bytes: its ids, and what the maps and the record have beside them.
fn weight(known: &KnownSession) -> usize {
    known.session.user_id.as_str().len() + known.session.device_id.as_str().len() + 300
}

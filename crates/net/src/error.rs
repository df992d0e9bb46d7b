//! What can go wrong, in three families: *refusals* (what was asked for is not done, however often it is asked),
//! *unavailable* (the other side or the way there; later it may work) and *faults* (this machine is not set up right).
//!
//! No text names an address that a name resolved to: who asked must not learn what this server's network looks like.

use std::time::Duration;

/// A request that was not answered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    // Refusals.
    /// No address to which requests can go.
    #[error("{uri} is no http or https address with a host")]
    NotAnAddress {
        /// What was given.
        uri: String,
    },
    /// Every address of the host is one that nobody outside may make this server talk to.
    #[error("{host} is not at an address that this server connects to")]
    Forbidden {
        /// The host.
        host: String,
    },
    /// The answer is larger than is read.
    #[error("the answer of {host} is larger than {most} bytes")]
    TooLarge {
        /// The host.
        host: String,
        /// The most that is read, in bytes.
        most: usize,
    },
    /// One redirect led to the next, too often.
    #[error("{host} redirects too often")]
    TooManyRedirects {
        /// The host first asked.
        host: String,
    },

    // Unavailable.
    /// The name has no address, or that cannot be found out now.
    #[error("resolving {host} failed: {reason}")]
    Resolve {
        /// The host.
        host: String,
        /// What was said.
        reason: String,
    },
    /// No connection, or it broke.
    #[error("asking {host} failed: {reason}")]
    Connection {
        /// The host.
        host: String,
        /// What was said.
        reason: String,
    },
    /// It took too long.
    #[error("{host} did not answer within {} ms", after.as_millis())]
    Late {
        /// The host.
        host: String,
        /// How long was waited.
        after: Duration,
    },

    // Faults.
    /// The client cannot be made: no certificates, for one.
    #[error("setting up outgoing connections failed: {reason}")]
    Setup {
        /// What was said.
        reason: String,
    },
}

impl Error {
    /// Whether the same may work later.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Resolve { .. } | Self::Connection { .. } | Self::Late { .. })
    }
}

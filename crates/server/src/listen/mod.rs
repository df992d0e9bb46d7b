//! How requests come in: sockets, TLS, and one task a connection. Every listener serves every API.
//!
//! **Invariant.** The accept loop does nothing but accept: handshakes and requests are the connection's own task, so a
//! client that is slow or talks nonsense delays nobody. All waits and sizes are bounded in `base::limits`.

mod accept;
mod bind;
mod connection;
mod descriptors;
pub(crate) mod tls;

#[cfg(test)]
mod tests;

pub(crate) use accept::{Gate, Serving};
pub(crate) use bind::{Listener, bind};

//! The one way out: HTTP client, TLS, address filter after resolution.
//!
//! **Invariant.** Nothing else in the program makes an outgoing connection. Every address is looked at after names were
//! resolved and before anything is connected to, so that nobody outside can make this server talk to what only it can reach,
//! whatever their names resolve to the second time.
//!
//! Where to go: [`transport`] is what callers hold, and what tests and the simulator replace; [`client`] is the real one;
//! [`filter`] decides about addresses and `resolve` asks it; [`error`] what can go wrong.

pub mod client;
pub mod error;
pub mod filter;
mod resolve;
pub mod transport;

#[cfg(test)]
mod tests;

pub use client::{Client, ClientOptions};
pub use error::Error;
pub use filter::AddressFilter;
pub use transport::{Request, Response, Transport};

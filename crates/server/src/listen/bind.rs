//! Binding the configured addresses, with messages that say what to do when that fails.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::config::Listen;

/// A bound address, ready to accept.
pub(crate) struct Listener {
    pub(super) socket: TcpListener,
    pub(super) tls: Option<TlsAcceptor>,
    /// The address that was bound: the port is the real one where the configuration says 0.
    pub(crate) address: SocketAddr,
}

/// Binds the address of `listen`.
///
/// # Errors
/// A line that says which address, where it is configured, why not, and what to do.
pub(crate) async fn bind(listen: &Listen, tls: Option<Arc<ServerConfig>>) -> Result<Listener, String> {
    let explain =
        |error| format!("cannot listen on {} ({}): {}", listen.address, listen.place, advice(listen.address, &error));
    let socket = TcpListener::bind(listen.address).await.map_err(explain)?;
    let address = socket.local_addr().map_err(explain)?;
    Ok(Listener { socket, tls: tls.map(TlsAcceptor::from), address })
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.address)
    }
}

fn advice(address: SocketAddr, error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => format!(
            "port {} is in use by another program (perhaps another holdfast); stop that one, or choose another port",
            address.port()
        ),
        ErrorKind::PermissionDenied => format!(
            "not permitted; ports below 1024 need the capability CAP_NET_BIND_SERVICE, or choose another port than {}",
            address.port()
        ),
        ErrorKind::AddrNotAvailable => format!(
            "this machine has no address {}; choose one of its own, or 0.0.0.0 or [::] for all of them",
            address.ip()
        ),
        _ => error.to_string(),
    }
}

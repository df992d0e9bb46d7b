//! Names to addresses, past the filter. This is asked at every connection that is made, so what a name resolved to before
//! does not matter.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::filter::AddressFilter;

/// Why no address was found for a name.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResolveError {
    /// All that it has are refused.
    #[error("all its addresses are refused")]
    Forbidden,
    /// It has none.
    #[error("it has no address")]
    NoAddress,
    /// The resolver failed.
    #[error("{0}")]
    Failed(std::io::Error),
}

/// Asks the operating system, and the filter about what it says.
#[derive(Clone, Debug)]
pub(crate) struct Filtered(pub(crate) Arc<AddressFilter>);

impl Resolve for Filtered {
    fn resolve(&self, name: Name) -> Resolving {
        let filter = Arc::clone(&self.0);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await.map_err(ResolveError::Failed)?;
            let found: Vec<SocketAddr> = found.collect();
            if found.is_empty() {
                return Err(ResolveError::NoAddress.into());
            }
            let allowed: Vec<SocketAddr> = found.into_iter().filter(|found| filter.allows(found.ip())).collect();
            if allowed.is_empty() {
                return Err(ResolveError::Forbidden.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// The address that a host in a URL is, where it is no name: those are never resolved. Also in the spellings that URLs allow.
pub(crate) fn literal(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

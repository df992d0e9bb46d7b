//! The one way out: HTTP client, TLS, address filter after resolution.

//! The readers that are not homeservers: push gateways.

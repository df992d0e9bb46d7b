//! What can be found wrong before anything starts: the files that the configuration names. `holdfast config check` does
//! this and no more; `holdfast serve` does it first.

use std::fs::File;
use std::sync::Arc;

use rustls::ServerConfig;

use crate::config::{Loaded, Place, Problems};
use crate::listen::tls;

/// Checks the files that the configuration names, and returns each listener's certificate.
///
/// # Errors
/// Every file that cannot be used, with the line that names it.
pub fn check(loaded: &Loaded) -> Result<Vec<Option<Arc<ServerConfig>>>, Problems> {
    let mut problems = Problems::default();
    let at = |path: &str| loaded.place(path).map(Place::to_string).unwrap_or_default();
    let config = &loaded.config;

    for file in &config.appservices {
        if let Err(error) = File::open(file) {
            problems.add(format!("`appservices` {}: cannot read {}: {error}", at("appservices"), file.display()));
        }
    }
    for file in &config.federation.extra_ca {
        if let Err(reason) = tls::check_certificates(file) {
            let place = at("federation.extra_ca");
            problems.add(format!("`federation.extra_ca` {place}: cannot read {}: {reason}", file.display()));
        }
    }
    let mut certificates = Vec::new();
    for listen in &config.listen {
        match listen.tls.as_ref().map(tls::load).transpose() {
            Ok(certificate) => certificates.push(certificate),
            Err(problem) => problems.add(format!("`listen` {}: {problem}", listen.place)),
        }
    }
    problems.or(Some(certificates))
}

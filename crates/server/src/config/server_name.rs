//! The name of a homeserver, by the grammar of <https://spec.matrix.org/v1.19/appendices/#server-name>.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// The longest name: a user id is at most 255 bytes, and `@`, one letter and `:` precede the name in it
/// (<https://spec.matrix.org/v1.19/appendices/#user-identifiers>).
const NAME_BYTES: usize = 252;

/// A valid server name. It is in every user id and event that the server makes, so it can never change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerName(String);

impl ServerName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ServerName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("is empty".to_owned());
        }
        if text.len() > NAME_BYTES {
            return Err(format!("is {} bytes long, {NAME_BYTES} is the most", text.len()));
        }
        let (host, port) = split_port(text);
        if let Some(port) = port
            && !(1..=5).contains(&port.len()) | port.bytes().any(|byte| !byte.is_ascii_digit())
        {
            return Err(format!("has the port `{port}`, which is not a number of 1 to 5 digits"));
        }
        check_host(host)?;
        Ok(Self(text.to_owned()))
    }
}

/// The host and, after the last colon outside brackets, the port.
fn split_port(text: &str) -> (&str, Option<&str>) {
    let host_end = text.rfind(']').map_or(0, |bracket| bracket + 1);
    match text[host_end..].find(':') {
        Some(colon) => (&text[..host_end + colon], Some(&text[host_end + colon + 1..])),
        None => (text, None),
    }
}

fn check_host(host: &str) -> Result<(), String> {
    if let Some(inner) = host.strip_prefix('[') {
        return match inner.strip_suffix(']').map(Ipv6Addr::from_str) {
            Some(Ok(_)) => Ok(()),
            _ => Err(format!("has the host `{host}`, which is not an IPv6 address in brackets")),
        };
    }
    if host.is_empty() {
        return Err("has no host".to_owned());
    }
    if let Some(bad) = host.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '.'))) {
        return Err(format!("holds `{bad}`, which no domain name has"));
    }
    let looks_numeric = host.chars().all(|c| c.is_ascii_digit() || c == '.');
    if looks_numeric && host.matches('.').count() == 3 && Ipv4Addr::from_str(host).is_err() {
        return Err(format!("has the host `{host}`, which is not an IPv4 address"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_specification_are_accepted() {
        for name in ["matrix.org", "matrix.org:8888", "1.2.3.4", "1.2.3.4:1234", "[1234:5678::abcd]", "[::1]:5678"] {
            assert_eq!(ServerName::from_str(name).map(|name| name.to_string()), Ok(name.to_owned()));
        }
        assert!(ServerName::from_str("localhost").is_ok());
        assert!(ServerName::from_str(&"a".repeat(252)).is_ok());
    }

    #[test]
    fn what_is_no_server_name_is_refused_with_the_reason() {
        for (name, reason) in [
            ("", "is empty"),
            ("https://example.org", "port"),
            ("example.org/", "`/`"),
            ("example org", "` `"),
            ("exämple.org", "`ä`"),
            ("example.org:", "port"),
            ("example.org:80a", "port"),
            ("example.org:123456", "port"),
            (":8448", "no host"),
            ("[::1", "port"),
            ("[::x]", "IPv6"),
            ("[::1]8448", "IPv6"),
            ("1.2.3.400", "IPv4"),
        ] {
            let error = ServerName::from_str(name).expect_err(name);
            assert!(error.contains(reason), "{name}: {error}");
        }
        let error = ServerName::from_str(&"a".repeat(253)).expect_err("too long");
        assert!(error.contains("253 bytes"), "{error}");
    }
}

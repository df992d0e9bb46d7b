//! The list of configuration keys: the one source for what is accepted, what is suggested, what is the default, and what
//! `docs/configuration.md` must describe.
//!
//! To add a key: a line here, a field in [`super::Config`], its reading in `read.rs`, its line in the reference.

/// One key of the configuration.
#[derive(Debug)]
pub struct Key {
    /// Where it stands: `storage.engine`. Within the tables of a list: `listen[].tls.key`.
    pub path: &'static str,
    /// What its value looks like.
    pub shape: Shape,
    /// The value it has when nothing sets it, in TOML. `None`: it is then absent.
    pub default: Option<&'static str>,
    /// The values that are allowed, in words, as messages and the reference say it.
    pub allowed: &'static str,
    /// Whether its value is hidden wherever the configuration is shown.
    pub secrecy: Secrecy,
}

/// The TOML shape of a value. What the value must mean beyond that, `read.rs` checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A string.
    Text,
    /// A string naming a file; relative to the file the key stands in.
    Path,
    /// `true` or `false`.
    Boolean,
    /// A whole number that is not negative.
    Number,
    /// A list of strings.
    Texts,
    /// A list of strings naming files.
    Paths,
    /// A list of tables, whose keys are listed as `path[].name`.
    Tables,
}

/// Whether a value may be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrecy {
    /// It may.
    Public,
    /// It may not: passwords, tokens, and addresses that hold either.
    Secret,
}

const fn key(path: &'static str, shape: Shape, default: Option<&'static str>, allowed: &'static str) -> Key {
    Key { path, shape, default, allowed, secrecy: Secrecy::Public }
}

const fn secret(path: &'static str, shape: Shape, default: Option<&'static str>, allowed: &'static str) -> Key {
    Key { path, shape, default, allowed, secrecy: Secrecy::Secret }
}

/// Every key, in the order of the reference.
pub static KEYS: &[Key] = &[
    key("server_name", Shape::Text, None, "a domain name or IP address with an optional port, such as \"example.org\""),
    key("data_dir", Shape::Path, Some("\"holdfast-data\""), "a directory"),
    key("default_room_version", Shape::Text, Some("\"12\""), "\"1\" to \"12\""),
    key("appservices", Shape::Paths, Some("[]"), "a list of registration files"),
    key(
        "trusted_proxies",
        Shape::Texts,
        Some("[\"127.0.0.0/8\", \"::1\"]"),
        "a list of IP addresses and networks, such as \"10.0.0.0/8\"",
    ),
    key("listen", Shape::Tables, Some("[{ address = \"127.0.0.1:8008\" }]"), "one or more tables [[listen]]"),
    key(
        "listen[].address",
        Shape::Text,
        None,
        "an IP address with a port, such as \"127.0.0.1:8008\" or \"[::]:8448\"",
    ),
    key("listen[].tls.certificate", Shape::Path, None, "a PEM file with the certificate chain, the server's own first"),
    key("listen[].tls.key", Shape::Path, None, "a PEM file with the certificate's private key"),
    key("storage.engine", Shape::Text, Some("\"embedded\""), "\"embedded\", \"sled\", \"postgres\" or \"memory\""),
    secret("storage.url", Shape::Text, None, "an address that starts with postgres:// or postgresql://"),
    key("storage.url_file", Shape::Path, None, "a file that holds the address"),
    key("registration.mode", Shape::Text, Some("\"closed\""), "\"closed\", \"token\" or \"open\""),
    secret("registration.tokens", Shape::Texts, Some("[]"), "a list of texts of 1 to 64 of A-Z a-z 0-9 . _ ~ -"),
    secret("registration.shared_secret", Shape::Text, None, "a text that is not empty"),
    key("registration.shared_secret_file", Shape::Path, None, "a file that holds the secret"),
    key("registration.guests", Shape::Boolean, Some("false"), "true or false"),
    key("federation.enabled", Shape::Boolean, Some("true"), "true or false"),
    key("federation.extra_ca", Shape::Paths, Some("[]"), "a list of PEM files with certificates"),
    key("federation.allow_private_addresses", Shape::Boolean, Some("false"), "true or false"),
    key("media.max_upload_bytes", Shape::Number, Some("104857600"), "a number from 1 to 4294967295"),
    key("well_known.client", Shape::Text, None, "an address that starts with https:// or http://"),
    key("support.page", Shape::Text, None, "an address that starts with https:// or http://"),
    key("support.contacts", Shape::Tables, None, "a list of tables [[support.contacts]]"),
    key("support.contacts[].role", Shape::Text, None, "\"m.role.admin\", \"m.role.security\" or another role"),
    key("support.contacts[].matrix_id", Shape::Text, None, "a user id, such as \"@admin:example.org\""),
    key("support.contacts[].email_address", Shape::Text, None, "a mail address"),
    key("rooms.encryption", Shape::Text, Some("\"default\""), "\"required\", \"default\" or \"optional\""),
    key("limits.enabled", Shape::Boolean, Some("true"), "true or false"),
    key("passwords.cost", Shape::Text, Some("\"normal\""), "\"normal\" or \"low\""),
];

/// Pairs of which one holds a value and the other the file to read it from. At most one of a pair is set, and setting
/// one in the environment takes the place of either in the file.
pub(crate) const TWINS: &[(&str, &str)] =
    &[("storage.url", "storage.url_file"), ("registration.shared_secret", "registration.shared_secret_file")];

/// The key at `path`.
pub(crate) fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// The other half of the pair that `path` belongs to.
pub(crate) fn twin(path: &str) -> Option<&'static str> {
    TWINS.iter().find_map(|&(value, file)| match path {
        _ if path == value => Some(file),
        _ if path == file => Some(value),
        _ => None,
    })
}

/// The names that may stand directly in the table `prefix` (`""`, `"storage."`, `"listen[]."`), without repeats.
pub(crate) fn names_in(prefix: &str) -> Vec<&'static str> {
    let mut names: Vec<&str> = KEYS
        .iter()
        .filter_map(|key| key.path.strip_prefix(prefix))
        .filter_map(|rest| rest.split(['.', '[']).next())
        .collect();
    names.dedup();
    names
}

/// The environment variable that overrides the key at `path`; keys within a list's tables have none of their own.
pub(crate) fn variable(path: &str) -> Option<String> {
    (!path.contains('[')).then(|| format!("HOLDFAST_{}", path.replace('.', "_").to_uppercase()))
}

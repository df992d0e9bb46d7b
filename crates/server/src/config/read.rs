//! From values to the typed configuration: every value is read even when one before it was wrong, so that all problems
//! are reported at once.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base::{Secret, limits};

use ruma::UserId;

use super::keys::{self, Secrecy};
use super::layer::{Node, Value, Values};
use super::network::Network;
use super::problem::{Place, Problems};
use super::server_name::ServerName;
use super::values::{
    Choice, Config, Contact, Engine, Federation, Limits, Listen, Media, Passwords, Registration, RoomVersion, Rooms,
    Storage, Support, TlsFiles,
};

/// Reads the whole configuration; `None` when something that must be there was missing or wrong.
pub(crate) fn config(values: &Values, problems: &mut Problems) -> Option<Config> {
    let mut reader = Reader { values, problems };
    let server_name = reader.required("server_name", ServerName::from_str);
    let data_dir = reader.path("data_dir");
    let default_room_version = reader.named("default_room_version", RoomVersion::from_name);
    let appservices = reader.paths("appservices");
    let listen = reader.listen();
    let storage = reader.storage();
    let registration = reader.registration();
    let federation = Federation {
        enabled: reader.boolean("federation.enabled"),
        extra_ca: reader.paths("federation.extra_ca"),
        allow_private_addresses: reader.boolean("federation.allow_private_addresses"),
    };
    let trusted_proxies = reader.networks("trusted_proxies");
    let max_upload_bytes = reader.number("media.max_upload_bytes", 1..=limits::BLOB_BYTES);
    let client_address = reader.address("well_known.client");
    let support = Support { page: reader.address("support.page"), contacts: reader.contacts() };
    let encryption = reader.choice("rooms.encryption");
    let limits = Limits { enabled: reader.boolean("limits.enabled") };
    let cost = reader.choice("passwords.cost");
    Some(Config {
        server_name: server_name?,
        data_dir: data_dir?,
        default_room_version: default_room_version?,
        appservices,
        listen,
        trusted_proxies,
        storage: storage?,
        registration: registration?,
        federation,
        media: Media { max_upload_bytes: max_upload_bytes? },
        client_address,
        support,
        rooms: Rooms { encryption: encryption? },
        limits,
        passwords: Passwords { cost: cost? },
    })
}

struct Reader<'a> {
    values: &'a Values,
    problems: &'a mut Problems,
}

impl Reader<'_> {
    fn storage(&mut self) -> Option<Storage> {
        let engine = self.choice("storage.engine");
        let url = self.secret("storage.url", "storage.url_file", |url| {
            let starts = ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme));
            starts.then_some(()).ok_or("has another scheme")
        });
        let (engine, url) = (engine?, url?);
        if engine == Engine::Postgres && url.is_none() {
            self.problems.add("`storage.url` is missing; `storage.engine` is \"postgres\" and needs it");
        }
        Some(Storage { engine, url })
    }

    fn registration(&mut self) -> Option<Registration> {
        let mode = self.choice("registration.mode");
        let tokens = self.tokens("registration.tokens");
        let shared_secret =
            self.secret("registration.shared_secret", "registration.shared_secret_file", |_| Ok::<_, String>(()));
        let guests = self.boolean("registration.guests");
        Some(Registration { mode: mode?, tokens, shared_secret: shared_secret?, guests })
    }

    fn listen(&mut self) -> Vec<Listen> {
        let Some(Node { place, value: Value::Tables(tables) }) = self.values.get("listen") else {
            return Vec::new();
        };
        if tables.is_empty() {
            self.wrong("listen", place, "is empty");
        }
        let mut listeners: Vec<Listen> = Vec::new();
        for (place, table) in tables {
            let mut reader = Reader { values: table, problems: self.problems };
            let Some(listener) = reader.listener(place) else { continue };
            let address = listener.address;
            if address.port() != 0 && listeners.iter().any(|earlier| earlier.address == address) {
                self.problems.add(format!("`listen[].address` {place} is {address}, as of an earlier listener"));
            }
            listeners.push(listener);
        }
        listeners
    }

    fn listener(&mut self, table: &Place) -> Option<Listen> {
        const FILES: [&str; 2] = ["listen[].tls.certificate", "listen[].tls.key"];
        let has_tls = FILES.iter().any(|path| self.values.contains_key(path));
        let wanted = std::iter::once("listen[].address").chain(FILES.into_iter().filter(|_| has_tls));
        for path in wanted.filter(|path| !self.values.contains_key(path)) {
            self.wrong(path, table, "is missing");
        }
        let address = self.parsed("listen[].address", |text| SocketAddr::from_str(text).map_err(|_| ""));
        let tls = match FILES.map(|path| self.path(path)) {
            [Some(certificate), Some(key)] => Some(TlsFiles { certificate, key }),
            _ => None,
        };
        Some(Listen { address: address?, tls, place: table.clone() })
    }

    fn networks(&mut self, path: &str) -> Vec<Network> {
        let Some((texts, place)) = self.texts(path) else { return Vec::new() };
        let (texts, place) = (texts.to_vec(), place.clone());
        let mut networks = Vec::new();
        for text in texts {
            match Network::from_str(&text) {
                Ok(network) => networks.push(network),
                Err(()) => self.wrong(path, &place, format!("holds {text:?}")),
            }
        }
        networks
    }

    fn address(&mut self, path: &str) -> Option<String> {
        let is_address = |text: &str| text.starts_with("https://") || text.starts_with("http://");
        self.parsed(path, |text| is_address(text).then(|| text.trim_end_matches('/').to_owned()).ok_or(""))
    }

    fn contacts(&mut self) -> Vec<Contact> {
        let Some(Node { value: Value::Tables(tables), .. }) = self.values.get("support.contacts") else {
            return Vec::new();
        };
        let mut contacts = Vec::new();
        for (place, table) in tables {
            let mut reader = Reader { values: table, problems: self.problems };
            if !table.contains_key("support.contacts[].role") {
                reader.wrong("support.contacts[].role", place, "is missing");
            }
            let role = reader.parsed("support.contacts[].role", |text| Ok::<_, &str>(text.to_owned()));
            let matrix_id = reader.parsed("support.contacts[].matrix_id", |text| UserId::parse(text).map_err(|_| ""));
            let email_address = reader.parsed("support.contacts[].email_address", |text| {
                text.contains('@').then(|| text.to_owned()).ok_or("")
            });
            let said = ["support.contacts[].matrix_id", "support.contacts[].email_address"];
            if !said.iter().any(|path| table.contains_key(path)) {
                reader.wrong("support.contacts[].matrix_id", place, "is missing, and so is `email_address`");
            }
            contacts.extend(role.map(|role| Contact { role, matrix_id, email_address }));
        }
        contacts
    }

    fn number(&mut self, path: &str, allowed: RangeInclusive<u64>) -> Option<u64> {
        let Node { place, value: Value::Number(number) } = self.values.get(path)? else { return None };
        if !allowed.contains(number) {
            self.wrong(path, place, format!("is {number}"));
            return None;
        }
        Some(*number)
    }

    fn text(&self, path: &str) -> Option<(&str, &Place)> {
        match self.values.get(path)? {
            Node { place, value: Value::Text(text) } => Some((text, place)),
            _ => None,
        }
    }

    fn boolean(&self, path: &str) -> bool {
        matches!(self.values.get(path), Some(Node { value: Value::Boolean(true), .. }))
    }

    fn texts(&self, path: &str) -> Option<(&[String], &Place)> {
        match self.values.get(path)? {
            Node { place, value: Value::Texts(texts) } => Some((texts, place)),
            _ => None,
        }
    }

    fn parsed<T, E: Display>(&mut self, path: &str, parse: impl Fn(&str) -> Result<T, E>) -> Option<T> {
        let (text, place) = self.text(path)?;
        let result = parse(text).map_err(|reason| describe(path, text, &reason.to_string()));
        let place = place.clone();
        result.map_err(|reason| self.wrong(path, &place, reason)).ok()
    }

    fn required<T, E: Display>(&mut self, path: &str, parse: impl Fn(&str) -> Result<T, E>) -> Option<T> {
        if !self.values.contains_key(path) {
            let allowed = keys::find(path).map_or("", |key| key.allowed);
            self.problems.add(format!("`{path}` is missing; it must be {allowed}"));
        }
        self.parsed(path, parse)
    }

    fn named<T>(&mut self, path: &str, from_name: impl Fn(&str) -> Option<T>) -> Option<T> {
        self.parsed(path, |text| from_name(text).ok_or(""))
    }

    fn choice<T: Choice>(&mut self, path: &str) -> Option<T> {
        self.named(path, T::from_name)
    }

    fn path(&mut self, path: &str) -> Option<PathBuf> {
        let directory = self.text(path)?.1.directory();
        self.parsed(path, |text| if text.is_empty() { Err("is empty") } else { Ok(directory.join(text)) })
    }

    fn paths(&mut self, path: &str) -> Vec<PathBuf> {
        let Some((texts, place)) = self.texts(path) else { return Vec::new() };
        let directory = place.directory();
        texts.iter().map(|text| directory.join(text)).collect()
    }

    /// The tokens, each by <https://spec.matrix.org/v1.19/client-server-api/#token-authenticated-registration>.
    fn tokens(&mut self, path: &str) -> Vec<Secret<String>> {
        let Some((texts, place)) = self.texts(path) else { return Vec::new() };
        let is_token = |text: &&String| {
            (1..=64).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte))
        };
        let tokens: Vec<_> = texts.iter().filter(is_token).cloned().map(Secret::new).collect();
        if let Some(bad) = texts.iter().position(|text| !is_token(&text)) {
            let place = place.clone();
            self.wrong(path, &place, format!("has an item that is no token, number {}", bad + 1));
        }
        tokens
    }

    /// The secret that stands at `value_path` or in the file at `file_path`. The outer `None` means that it was wrong.
    #[expect(clippy::option_option, reason = "absent is right, wrong is not")]
    fn secret<E: Display>(
        &mut self,
        value_path: &str,
        file_path: &str,
        check: impl Fn(&str) -> Result<(), E>,
    ) -> Option<Option<Secret<String>>> {
        let text = self.text(value_path).map(|(text, place)| (text.to_owned(), place.clone()));
        let file = self.text(file_path).map(|(_, place)| place.clone());
        let (path, secret, place) = match (text, file) {
            (None, None) => return Some(None),
            (Some((text, place)), None) => (value_path, Secret::new(text), place),
            (None, Some(place)) => (file_path, self.secret_file(file_path)?, place),
            (Some(_), Some(place)) => {
                self.problems.add(format!("`{file_path}` {place} and `{value_path}` are both set; set only one"));
                return None;
            }
        };
        if secret.expose().is_empty() {
            self.wrong(path, &place, "is empty");
            return None;
        }
        match check(secret.expose()) {
            Ok(()) => Some(Some(secret)),
            Err(reason) => {
                self.wrong(path, &place, reason.to_string());
                None
            }
        }
    }

    fn secret_file(&mut self, path: &str) -> Option<Secret<String>> {
        let file = self.path(path)?;
        let (_, place) = self.text(path)?;
        let place = place.clone();
        match read_small(&file) {
            Ok(text) => Some(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned())),
            Err(error) => {
                self.problems.add(format!("`{path}` {place}: cannot read {}: {error}", file.display()));
                None
            }
        }
    }

    fn wrong(&mut self, path: &str, place: &Place, reason: impl Display) {
        let allowed = keys::find(path).map_or("", |key| key.allowed);
        self.problems.add(format!("`{path}` {place} {reason}; it must be {allowed}"));
    }
}

/// What is wrong with `text`: the reason, or the text itself where it may be seen.
fn describe(path: &str, text: &str, reason: &str) -> String {
    let is_secret = keys::find(path).is_none_or(|key| key.secrecy == Secrecy::Secret);
    match (reason, is_secret) {
        ("", false) => format!("is {text:?}"),
        ("", true) => "has another value".to_owned(),
        (reason, _) => reason.to_owned(),
    }
}

/// The text of a file that a person wrote.
pub(crate) fn read_small(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(file)?.take(limits::CONFIG_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > limits::CONFIG_BYTES {
        return Err(io::Error::other(format!("it has more than {} bytes", limits::CONFIG_BYTES)));
    }
    Ok(text)
}

//! The configuration as the rest of the server sees it: typed, complete and checked.

use std::net::SocketAddr;
use std::path::PathBuf;

use base::Secret;
use ruma::OwnedUserId;

use super::network::Network;
use super::problem::Place;
use super::server_name::ServerName;

/// The whole configuration.
#[derive(Debug)]
pub struct Config {
    /// The name of this homeserver.
    pub server_name: ServerName,
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// The version of rooms made without a wish for another.
    pub default_room_version: RoomVersion,
    /// The registration files of application services.
    pub appservices: Vec<PathBuf>,
    /// Where requests come in; never empty.
    pub listen: Vec<Listen>,
    /// Whose word is taken for where a request comes from.
    pub trusted_proxies: Vec<Network>,
    /// The storage engine.
    pub storage: Storage,
    /// Who may make an account.
    pub registration: Registration,
    /// The other servers.
    pub federation: Federation,
    /// Uploads.
    pub media: Media,
    /// Where clients find this server, told to who knows only its name.
    pub client_address: Option<String>,
    /// Who helps users of this server.
    pub support: Support,
    /// Rooms made here.
    pub rooms: Rooms,
    /// The limits on what one user may ask for.
    pub limits: Limits,
    /// How passwords are kept.
    pub passwords: Passwords,
}

/// One listener.
#[derive(Debug)]
pub struct Listen {
    /// The address it binds.
    pub address: SocketAddr,
    /// Its certificate; without one it speaks plain HTTP.
    pub tls: Option<TlsFiles>,
    /// Where it is configured, for messages.
    pub place: Place,
}

/// The files of a certificate.
#[derive(Debug)]
pub struct TlsFiles {
    /// The certificate chain in PEM, the server's own first.
    pub certificate: PathBuf,
    /// The private key in PEM.
    pub key: PathBuf,
}

/// The storage engine.
#[derive(Debug)]
pub struct Storage {
    /// Which one.
    pub engine: Engine,
    /// Where the database is; always there for [`Engine::Postgres`].
    pub url: Option<Secret<String>>,
}

/// Who may make an account.
#[derive(Debug)]
pub struct Registration {
    /// Who may.
    pub mode: RegistrationMode,
    /// Registration tokens that exist from the first start.
    pub tokens: Vec<Secret<String>>,
    /// The secret with which scripts may make accounts.
    pub shared_secret: Option<Secret<String>>,
    /// Whether guests are let in.
    pub guests: bool,
}

/// The other servers.
#[derive(Debug)]
pub struct Federation {
    /// Whether there are any.
    pub enabled: bool,
    /// Certificates trusted in addition to the system's.
    pub extra_ca: Vec<PathBuf>,
    /// Whether servers at private addresses are talked to.
    pub allow_private_addresses: bool,
}

/// Uploads.
#[derive(Debug)]
pub struct Media {
    /// The largest, in bytes.
    pub max_upload_bytes: u64,
}

/// Who helps users of this server (<https://spec.matrix.org/v1.19/client-server-api/#getwell-knownmatrixsupport>).
#[derive(Debug, Default)]
pub struct Support {
    /// A page for users.
    pub page: Option<String>,
    /// People.
    pub contacts: Vec<Contact>,
}

/// Somebody who helps.
#[derive(Debug)]
pub struct Contact {
    /// With what.
    pub role: String,
    /// Where on Matrix.
    pub matrix_id: Option<OwnedUserId>,
    /// Where by mail.
    pub email_address: Option<String>,
}

/// Rooms made here.
#[derive(Debug)]
pub struct Rooms {
    /// Whether they are encrypted.
    pub encryption: Encryption,
}

/// The limits on what one user may ask for.
#[derive(Debug)]
pub struct Limits {
    /// Whether they are kept.
    pub enabled: bool,
}

/// How passwords are kept.
#[derive(Debug)]
pub struct Passwords {
    /// How much work a guess costs.
    pub cost: PasswordCost,
}

/// A version of the rules of rooms (<https://spec.matrix.org/v1.19/rooms/>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomVersion(&'static str);

impl RoomVersion {
    /// The versions that there are.
    const KNOWN: [&'static str; 12] = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"];

    /// All versions.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Self::KNOWN.into_iter().map(Self)
    }

    /// The version as it is written in events.
    pub const fn as_str(self) -> &'static str {
        self.0
    }

    /// The version written `text`.
    pub(crate) fn from_name(text: &str) -> Option<Self> {
        Self::KNOWN.into_iter().find(|known| *known == text).map(Self)
    }
}

/// A choice between names.
pub(crate) trait Choice: Copy + 'static {
    /// Every name with what it stands for.
    const NAMES: &'static [(&'static str, Self)];

    /// What `name` stands for.
    fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, choice)| *choice)
    }
}

/// Which storage engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// The default: one directory, nothing to set up.
    Embedded,
    /// sled 0.34, made durable.
    Sled,
    /// A PostgreSQL server or cluster.
    Postgres,
    /// Nothing is kept: for tests.
    Memory,
}

impl Choice for Engine {
    const NAMES: &'static [(&'static str, Self)] =
        &[("embedded", Self::Embedded), ("sled", Self::Sled), ("postgres", Self::Postgres), ("memory", Self::Memory)];
}

/// Who may make an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistrationMode {
    /// Nobody but by the shared secret, the admin API and the command line.
    Closed,
    /// Who has a registration token.
    Token,
    /// Everybody.
    Open,
}

impl Choice for RegistrationMode {
    const NAMES: &'static [(&'static str, Self)] =
        &[("closed", Self::Closed), ("token", Self::Token), ("open", Self::Open)];
}

/// Whether rooms made here are encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// Always.
    Required,
    /// Unless their maker says otherwise.
    Default,
    /// When their maker says so.
    Optional,
}

impl Choice for Encryption {
    const NAMES: &'static [(&'static str, Self)] =
        &[("required", Self::Required), ("default", Self::Default), ("optional", Self::Optional)];
}

/// How much work a guess at a password costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordCost {
    /// As much as is advised today.
    Normal,
    /// Hardly any: for tests.
    Low,
}

impl Choice for PasswordCost {
    const NAMES: &'static [(&'static str, Self)] = &[("normal", Self::Normal), ("low", Self::Low)];
}

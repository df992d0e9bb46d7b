//! Connections to the database: what the URL says, what every session sets, and what a failure means for whoever waits.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use base::{Clock, Secret, limits, task};
use tokio::sync::mpsc;
use tokio_postgres::config::{SslMode, TargetSessionAttrs};
use tokio_postgres::error::{Severity, SqlState};
use tokio_postgres::{AsyncMessage, Client, Config, Connection, NoTls, Socket};

use crate::error::{Error, OpenError};

/// What a failed statement means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The server or the connection is gone.
    Away(String),
    /// The server takes no writes: a replica, or somebody closed it for writing.
    ReadOnly(String),
    /// Another node was in the way; the same may work at once.
    Collided(String),
    /// The server refused the statement.
    Refused(String),
}

impl Failure {
    /// What `error` means.
    pub(crate) fn of(error: &tokio_postgres::Error) -> Self {
        let Some(db) = error.as_db_error() else { return Self::Away(text(error)) };
        let reason = text(error);
        let code = db.code();
        let ends_session = matches!(db.parsed_severity(), Some(Severity::Fatal | Severity::Panic));
        match *code {
            SqlState::T_R_SERIALIZATION_FAILURE | SqlState::T_R_DEADLOCK_DETECTED | SqlState::LOCK_NOT_AVAILABLE => {
                Self::Collided(reason)
            }
            SqlState::READ_ONLY_SQL_TRANSACTION => Self::ReadOnly(reason),
            _ if ends_session || code.code().starts_with("08") || code.code().starts_with("57P") => Self::Away(reason),
            _ => Self::Refused(reason),
        }
    }

    /// What the server said.
    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::Away(reason) | Self::ReadOnly(reason) | Self::Collided(reason) | Self::Refused(reason) => reason,
        }
    }

    /// The failure of a read.
    pub(crate) fn error(self) -> Error {
        match self {
            Self::Refused(reason) => Error::Read { reason },
            Self::Away(reason) | Self::ReadOnly(reason) | Self::Collided(reason) => Error::Unavailable { reason },
        }
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::of(&error)
    }
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum Unreachable {
    /// Something took the connection and said nothing.
    Silent,
    /// What the server or the operating system said.
    Said(tokio_postgres::Error),
}

impl From<Unreachable> for Failure {
    fn from(unreachable: Unreachable) -> Self {
        match unreachable {
            Unreachable::Silent => silence(),
            // Wrong passwords included: whoever changes it changes it back, and nothing was written meanwhile.
            Unreachable::Said(error) => Self::Away(text(&error)),
        }
    }
}

/// Nothing was answered in time.
pub(crate) fn silence() -> Failure {
    Failure::Away(format!("no answer for {} s", limits::POSTGRES_ANSWER.as_secs()))
}

/// What an error says, with its cause: the driver's own text leaves the cause out. Keys and values, which a server's
/// detail line may quote, are left out.
pub(crate) fn text(error: &tokio_postgres::Error) -> String {
    if let Some(db) = error.as_db_error() {
        return format!("{} ({})", db.message(), db.code().code());
    }
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// The settings of a connection, from the URL.
pub(crate) fn parse(url: &Secret<String>) -> Result<Config, OpenError> {
    let refuse = |what: String, advice: &str| OpenError::Database { what, advice: advice.to_owned() };
    let mut config = Config::from_str(url.expose()).map_err(|error| {
        // Only the driver's words: the URL may hold a password.
        let what = format!("storage.url cannot be read ({})", text(&error));
        refuse(what, "write it as postgres://user:password@host/database, special characters percent-encoded")
    })?;
    if config.get_ssl_mode() == SslMode::Require {
        return Err(refuse(
            "storage.url asks for sslmode=require, and this release does not encrypt its connections to PostgreSQL"
                .to_owned(),
            "reach the database over a Unix socket, on the same machine, or through an encrypted tunnel, and remove sslmode",
        ));
    }
    if config.get_hosts().is_empty() {
        return Err(refuse(
            "storage.url names no host".to_owned(),
            "write it as postgres://user:password@host/database",
        ));
    }
    // Of several hosts only the one that takes writes: the others may be behind, and reads must see what was committed.
    if config.get_hosts().len() > 1 && config.get_target_session_attrs() == TargetSessionAttrs::Any {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
    let connect = config.get_connect_timeout().copied().unwrap_or(limits::POSTGRES_CONNECT);
    config
        .application_name("holdfast")
        .ssl_mode(SslMode::Disable)
        .connect_timeout(connect)
        .keepalives(true)
        .keepalives_idle(limits::POSTGRES_IDLE_IN_TRANSACTION)
        .keepalives_interval(limits::POSTGRES_CONNECT)
        .keepalives_retries(3)
        .tcp_user_timeout(limits::POSTGRES_ANSWER);
    Ok(config)
}

/// What every session sets. All our statements have an index, also while a table is too small or too new for the planner
/// to prefer it, and their plans never depend on the parameters: so it plans each once. `jit` would cost more than it saves.
pub(crate) const SETTINGS: &str = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; \
     SET enable_bitmapscan = off; SET jit = off; SET lock_timeout = 0";

/// Whom a connection's notifications wake.
#[derive(Debug)]
pub(crate) struct Notifier {
    pub(crate) wake: mpsc::Sender<()>,
    /// The server's process of our own writer, whose commits are known already.
    pub(crate) own: Arc<AtomicI32>,
}

impl Notifier {
    fn wake(&self, from: i32) {
        if from != self.own.load(Ordering::Relaxed) {
            // A full channel holds a wake-up already.
            let _ = self.wake.try_send(());
        }
    }
}

/// A connection and the task that drives it; both end together.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client: Client,
    /// The release of the server, as it says at the start.
    pub(crate) server_version: String,
    /// The server's process, as notifications name it.
    pub(crate) process: i32,
    driver: tokio::task::JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        // Without this the driver would wait for a server that hangs, and the server would keep our row locks.
        self.driver.abort();
    }
}

impl Session {
    /// Connects. Notifications, wake `notified`, whose channel closes when the connection ends.
    pub(crate) async fn connect(
        config: &Config,
        clock: &Clock,
        notified: Option<Notifier>,
    ) -> Result<Self, Unreachable> {
        let connecting = clock.timeout(limits::POSTGRES_ANSWER, config.connect(NoTls)).await;
        let (client, connection) = connecting.ok_or(Unreachable::Silent)?.map_err(Unreachable::Said)?;
        let server_version = connection.parameter("server_version").unwrap_or_default().to_owned();
        let driver = task::spawn(drive(connection, notified));
        Ok(Self { client, server_version, process: 0, driver })
    }

    /// Sets what a session of ours needs, beside `more`, and learns its process.
    pub(crate) async fn prepare(&mut self, clock: &Clock, more: &str) -> Result<(), Failure> {
        let settings = format!("{SETTINGS}; {more}");
        let set = async {
            self.client.batch_execute(&settings).await?;
            self.client.query_one("SELECT pg_backend_pid()", &[]).await?.try_get(0)
        };
        self.process = in_time(clock, set).await?;
        Ok(())
    }

    /// Whether the connection has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.client.is_closed() || self.driver.is_finished()
    }
}

/// Waits for an answer for as long as an answer may take.
pub(crate) async fn in_time<T, E: Into<Failure>>(
    clock: &Clock,
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T, Failure> {
    match clock.timeout(limits::POSTGRES_ANSWER, answer).await {
        Some(answer) => answer.map_err(Into::into),
        None => Err(silence()),
    }
}

async fn drive(mut connection: Connection<Socket, tokio_postgres::tls::NoTlsStream>, notified: Option<Notifier>) {
    loop {
        match std::future::poll_fn(|cx| connection.poll_message(cx)).await {
            Some(Ok(AsyncMessage::Notification(note))) => {
                if let Some(notifier) = &notified {
                    notifier.wake(note.process_id());
                }
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return tracing::debug!(error = text(&error), "a connection to the database ended"),
            None => return,
        }
    }
}

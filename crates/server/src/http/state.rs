//! What handlers may use: the handles that are opened before the first request and closed after the last.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use accounts::{Accounts, AccountsOptions, Guests, RegistrationMode, RegistrationOptions};
use base::limits;
use base::shutdown::{self, ShutdownTrigger};
use delivery::{Push, accounts_to_rooms};
use media::{Media, MediaOptions};
use net::filter::PrivateAddresses;
use net::{AddressFilter, Client, ClientOptions};
use rooms::{EncryptionPolicy, Rooms, RoomsOptions};
use ruma::{OwnedServerName, RoomVersionId, ServerName};
use storage::Store;
use sync::Syncer;
use tokio::task::JoinHandle;

use crate::config::{self, Config, Encryption};
use crate::health::HealthWatch;
use crate::http::limiter::Limiter;

/// What handlers may use. One pointer: every request has a clone.
#[derive(Clone)]
pub struct AppState(Arc<Handles>);

/// The handles. To add one: a field here, its opening in [`AppState::open`], and if it has to be closed, in
/// [`AppState::close`].
pub struct Handles {
    /// What the operator has set.
    pub config: Arc<Config>,
    /// Who asked how much.
    pub(crate) limiter: Limiter,
    /// What the server can do at the moment.
    pub health: HealthWatch,
    /// The store itself, for what no crate below has a handle on.
    pub store: Arc<Store>,
    /// All accounts.
    pub accounts: Arc<Accounts>,
    /// All media.
    pub media: Arc<Media>,
    /// All rooms.
    pub rooms: Arc<Rooms>,
    /// All that syncs.
    pub syncer: Arc<Syncer>,
    /// What tells push gateways.
    pub push: Arc<Push>,
    /// Ends what works in the background.
    stop: ShutdownTrigger,
    /// What must have ended before the store is closed.
    readers: Mutex<Vec<JoinHandle<()>>>,
}

/// Why what is on the store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The name passed the configuration's grammar, but not the one of identifiers.
    #[error("the server name {0:?} cannot be used: {1}")]
    ServerName(String, #[source] ruma::IdParseError),
    /// The media.
    #[error("opening the media failed: {0}")]
    Media(#[from] media::Error),
    /// The accounts.
    #[error("opening the accounts failed: {0}")]
    Accounts(#[from] accounts::Error),
    /// The rooms.
    #[error("opening the rooms failed: {0}")]
    Rooms(#[from] rooms::Error),
    /// What syncs.
    #[error("following the log failed: {0}")]
    Sync(#[from] sync::Error),
    /// What tells push gateways.
    #[error("reading who is to be notified failed: {0}")]
    Push(#[from] delivery::Error),
    /// The way out.
    #[error("{0}")]
    Net(#[from] net::Error),
    /// A file with certificates.
    #[error("reading {0} failed: {1}")]
    Certificates(String, #[source] std::io::Error),
}

impl AppState {
    /// Opens all handles on `store`, lowest first.
    ///
    /// # Errors
    /// What could not be opened, and why.
    pub async fn open(config: Arc<Config>, store: Arc<Store>) -> Result<Self, OpenError> {
        let server = server_name(&config)?;
        let accounts = Accounts::new(Arc::clone(&store), accounts_options(&config, server.clone()));
        let media = MediaOptions { server: server.clone(), max_upload_bytes: config.media.max_upload_bytes };
        let media = Media::open(Arc::clone(&store), media).await?;
        accounts.make_configured_tokens().await?;
        let rooms = Rooms::open(Arc::clone(&store), rooms_options(&config, server)).await?;
        finish_purges(Arc::clone(&rooms));
        let syncer = Syncer::open(Arc::clone(&rooms), Arc::clone(&accounts))?;
        let (stop, stopped) = shutdown::channel();
        syncer.start(&stopped);
        // Where several processes share the store, one of them reads, under a lease in its name.
        let is_shared = store.engine().name() == "postgres";
        let holder = is_shared.then(|| format!("process {:016x}", store.random().next_u64()));
        accounts_to_rooms::start(&store, &accounts, &rooms, holder.as_deref(), &stopped);
        let client = Arc::new(Client::new(client_options(&config, &store)?)?);
        let push = Push::open(Arc::clone(&rooms), Arc::clone(&accounts), client).await?;
        let readers = Mutex::new(push.start(&store, holder.as_deref(), &stopped).await?);
        let health = HealthWatch::of(&store);
        let limiter = Limiter::new(config.limits.enabled, store.clock().clone());
        Ok(Self(Arc::new(Handles {
            config,
            limiter,
            health,
            store,
            accounts,
            media,
            rooms,
            syncer,
            push,
            stop,
            readers,
        })))
    }

    /// Closes what was opened, in the reverse order. The store itself is closed by who opened it.
    pub async fn close(self) {
        self.stop.start();
        let readers = std::mem::take(&mut *self.readers.lock().unwrap_or_else(PoisonError::into_inner));
        for reader in readers {
            // What it was telling is told again at the next start.
            let _ = self.store.clock().timeout(limits::READERS_STOP, reader).await;
        }
        if let Err(error) = self.accounts.flush_seen().await {
            tracing::warn!(%error, "when devices were last here could not be stored");
        }
    }

    /// This server.
    pub fn server_name(&self) -> &ServerName {
        self.rooms.server()
    }
}

/// The rooms on `store`, for a command that needs nothing else.
///
/// # Errors
/// What could not be opened, and why.
pub(crate) async fn open_rooms(config: &Config, store: Arc<Store>) -> Result<Arc<Rooms>, OpenError> {
    Ok(Rooms::open(store, rooms_options(config, server_name(config)?)).await?)
}

fn server_name(config: &Config) -> Result<OwnedServerName, OpenError> {
    let name = config.server_name.as_str();
    ServerName::parse(name).map_err(|source| OpenError::ServerName(name.to_owned(), source))
}

fn client_options(config: &Config, store: &Store) -> Result<ClientOptions, OpenError> {
    let private = match config.federation.allow_private_addresses {
        true => PrivateAddresses::Allowed,
        false => PrivateAddresses::Refused,
    };
    let read = |file: &std::path::PathBuf| {
        let read = std::fs::read(file).map(bytes::Bytes::from);
        read.map_err(|error| OpenError::Certificates(file.display().to_string(), error))
    };
    Ok(ClientOptions {
        filter: AddressFilter::new(private),
        extra_certificates: config.federation.extra_ca.iter().map(read).collect::<Result<_, _>>()?,
        user_agent: concat!("holdfast/", env!("CARGO_PKG_VERSION")).to_owned(),
        clock: store.clock().clone(),
    })
}

fn accounts_options(config: &Config, server: OwnedServerName) -> AccountsOptions {
    let password_cost = match config.passwords.cost {
        config::PasswordCost::Normal => accounts::PasswordCost::Normal,
        config::PasswordCost::Low => accounts::PasswordCost::Low,
    };
    let registration = registration_options(&config.registration);
    AccountsOptions { password_cost, registration, ..AccountsOptions::new(server) }
}

fn registration_options(config: &config::Registration) -> RegistrationOptions {
    let mode = match config.mode {
        config::RegistrationMode::Closed => RegistrationMode::Closed,
        config::RegistrationMode::Token => RegistrationMode::Token,
        config::RegistrationMode::Open => RegistrationMode::Open,
    };
    let (tokens, shared_secret) = (config.tokens.clone(), config.shared_secret.clone());
    let guests = if config.guests { Guests::Welcome } else { Guests::Refused };
    RegistrationOptions { mode, tokens, shared_secret, guests }
}

/// Goes on with the removal of rooms where the last process stopped.
fn finish_purges(rooms: Arc<Rooms>) {
    base::task::spawn(async move {
        if let Err(error) = rooms.finish_purges().await {
            tracing::warn!(%error, "rooms that are gone could not be removed from the store; it is tried at the next start");
        }
    });
}

fn rooms_options(config: &Config, server: OwnedServerName) -> RoomsOptions {
    let encryption = match config.rooms.encryption {
        Encryption::Required => EncryptionPolicy::Required,
        Encryption::Default => EncryptionPolicy::Default,
        Encryption::Optional => EncryptionPolicy::Optional,
    };
    // The configuration knows only versions that exist.
    let default_version = config.default_room_version.as_str().try_into().unwrap_or(RoomVersionId::V12);
    RoomsOptions { server, default_version, encryption }
}

impl Deref for AppState {
    type Target = Handles;

    fn deref(&self) -> &Handles {
        &self.0
    }
}

impl fmt::Debug for AppState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the state of {}", self.server_name())
    }
}

//! The life of the server: check everything, bind, open, serve, and on a signal the same way back.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use base::shutdown::{self, Shutdown};
use base::{Clock, limits, task};
use futures_util::future::select_all;
use rustls::ServerConfig;
use sd_notify::NotifyState;
use storage::{OnLoss, OpenError, Store};

use crate::chores;
use crate::config::{Config, Loaded, Problems};
use crate::control::{ControlSocket, Served};
use crate::data;
use crate::http::{self, AppState};
use crate::listen::{self, Gate, Listener, Serving};
use crate::preflight;
use crate::signals;

/// Why the server did not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something that the configuration names cannot be used.
    #[error("{0}")]
    Configuration(Problems),
    /// An address cannot be bound, now: later it may be free.
    #[error("{0}")]
    Listen(Problems),
    /// The store cannot be opened.
    #[error("{0}")]
    Storage(#[from] OpenError),
    /// What is in the store cannot be opened.
    #[error("{0}")]
    Open(#[from] http::OpenError),
    /// The disk failed under the store: nothing more may be written, so the process must end and be started again.
    #[error("the storage failed, so the server stopped: {0}")]
    StorageFailed(String),
    /// A listener's task ended without being asked to: a bug of ours.
    #[error("a listener ended by itself, so the server stopped")]
    ListenerEnded,
    /// The operating system refused what every process gets.
    #[error("cannot {0}: {1}")]
    System(&'static str, #[source] io::Error),
}

/// Runs the server of `loaded` until it is asked to stop.
///
/// # Errors
/// When it cannot start, or ended without being asked to.
pub async fn run(loaded: Loaded, on_loss: OnLoss, clock: Clock) -> Result<(), Error> {
    let stop = signals::watch().map_err(|error| Error::System("watch for signals", error))?;
    let certificates = preflight::check(&loaded).map_err(Error::Configuration)?;
    // Before the storage: a port in use most often means that the server runs already, and says so better than a lock.
    let listeners = bind(&loaded, certificates).await.map_err(Error::Listen)?;
    let server = Server::open(loaded, on_loss, clock).await?;
    let outcome = server.serve(listeners, stop).await;
    server.close().await;
    outcome
}

/// What the requests are answered from: everything that is opened before the first and closed after the last.
struct Server {
    config: Arc<Config>,
    clock: Clock,
    store: Arc<Store>,
    /// `None` for a store without a data directory.
    control: Option<ControlSocket>,
    state: AppState,
}

impl Server {
    /// Opens what requests are answered from, lowest first. Listeners are bound and nothing is accepted yet, so this may
    /// take its time.
    async fn open(loaded: Loaded, on_loss: OnLoss, clock: Clock) -> Result<Self, Error> {
        let mut options = data::options(&loaded.config, on_loss);
        options.clock = clock.clone();
        let store = Arc::new(Store::open(options).await?);
        let config = Arc::new(loaded.config);
        let state = AppState::open(Arc::clone(&config), Arc::clone(&store)).await?;
        let served = Served { store: Arc::clone(&store), rooms: Arc::clone(&state.rooms) };
        let control = store.data_dir().and_then(|data_dir| open_control(data_dir, served));
        Ok(Self { config, clock, store, control, state })
    }

    /// Answers requests until `stop`, then finishes those in flight.
    async fn serve(&self, listeners: Vec<Listener>, mut stop: Shutdown) -> Result<(), Error> {
        let (cut_trigger, cut) = shutdown::channel();
        let (stop_trigger, stop_all) = shutdown::channel();
        let gate = Gate::new();
        let serving = Serving {
            app: http::app(self.state.clone()),
            gate: gate.clone(),
            clock: self.clock.clone(),
            stop: stop_all,
            cut,
        };
        self.announce(&listeners);
        let loops: Vec<_> =
            listeners.into_iter().map(|listener| task::spawn(listener.accept(serving.clone()))).collect();
        let chores = chores::start(self.state.clone(), stop.clone());
        let mut health = self.state.health.clone();
        let outcome = tokio::select! {
            () = stop.started() => Ok(()),
            _ = select_all(loops) => Err(Error::ListenerEnded),
            reason = health.failed() => Err(Error::StorageFailed(reason)),
        };

        notify(NotifyState::Stopping);
        stop_trigger.start();
        let late = gate.emptied(&self.clock, limits::STOP_TIMEOUT).await;
        if late > 0 {
            tracing::warn!(connections = late, "requests in flight took too long and were cut");
        }
        chores.abort();
        cut_trigger.start();
        // Their handlers must be gone before what they use is closed.
        gate.emptied(&self.clock, limits::CUT_TIMEOUT).await;
        outcome
    }

    /// Closes what was opened, in the reverse order. No request is in flight any more.
    async fn close(self) {
        drop(self.control);
        self.state.close().await;
        self.store.close().await;
        tracing::info!("stopped");
    }

    /// Says that the server is ready: a line a listener for people and scripts, and a word to systemd.
    fn announce(&self, listeners: &[Listener]) {
        let name = &self.config.server_name;
        let mut out = io::stdout().lock();
        for listener in listeners {
            // Nobody may be reading; that is no reason to stop.
            let _ = writeln!(out, "holdfast serves {name} on {listener}");
        }
        let _ = out.flush();
        notify(NotifyState::Ready);
    }
}

/// The control socket. Without it the server still does all that it is there for.
fn open_control(data_dir: &Path, served: Served) -> Option<ControlSocket> {
    ControlSocket::open(data_dir, served)
        .inspect_err(|error| tracing::warn!(%error, "`holdfast storage` cannot ask this server: no control socket"))
        .ok()
}

async fn bind(loaded: &Loaded, certificates: Vec<Option<Arc<ServerConfig>>>) -> Result<Vec<Listener>, Problems> {
    let mut problems = Problems::default();
    let mut listeners = Vec::new();
    for (listen, certificate) in loaded.config.listen.iter().zip(certificates) {
        match listen::bind(listen, certificate).await {
            Ok(listener) => listeners.push(listener),
            Err(problem) => problems.add(problem),
        }
    }
    problems.or(Some(listeners))
}

/// Tells the service manager, where there is one.
fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "cannot notify the service manager");
    }
}

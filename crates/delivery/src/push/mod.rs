//! Telling push gateways of events (<https://spec.matrix.org/v1.19/push-gateway-api/#homeserver-behaviour>).
//!
//! One reader for each partition of the log looks whom an event concerns and has a pusher, asks their rules, and sends at
//! once, to all gateways at the same time. Whoever does not answer quickly and well falls *behind*: it is written down up to
//! where it was told, and it gets a cursor and a pace of its own, until it has caught up. The reader goes on without it. So
//! a gateway that is down costs one row, whatever happens meanwhile, and one that works costs none.
//!
//! A gateway may be told of an event twice, never not at all, but for what is older than [`limits::PUSH_AGE`] by then: who
//! comes back after a day does not want to be told of yesterday.
//!
//! Where to go: `follow` is the reader, `behind` those who fell back; `gateway` asks a gateway, `body` is what it is told;
//! `known` has who has pushers.

mod behind;
mod body;
mod follow;
mod gateway;
mod known;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use accounts::{Accounts, Pusher};
use base::collections::HashMap;
use base::shutdown::Shutdown;
use base::{Partition, Position, Timestamp, limits, task};
use net::Transport;
use rooms::Rooms;
use rooms::notice::Reader as Recipient;
use ruma::{OwnedUserId, UserId};
use storage::LogEntry;
use storage::reader::{Activity, Begin, Reader, ReaderOptions, StatusWatch};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::error::Error;
use behind::Behind;
use follow::Follow;
use known::Known;

/// All that tells push gateways.
pub struct Push {
    rooms: Arc<Rooms>,
    accounts: Arc<Accounts>,
    transport: Arc<dyn Transport>,
    known: Known,
    /// Gateways that are asked at once.
    places: Semaphore,
    parts: Vec<Part>,
    /// The last number of unread events that a pusher was told.
    badges: Mutex<HashMap<PusherKey, u64>>,
}

/// A user's pusher.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct PusherKey {
    user: OwnedUserId,
    app_id: String,
    pushkey: String,
}

impl PusherKey {
    fn of(pusher: &Pusher) -> Self {
        let ids = &pusher.data.ids;
        Self { user: pusher.user.clone(), app_id: ids.app_id.clone(), pushkey: ids.pushkey.clone() }
    }
}

/// What is kept of one partition.
#[derive(Default)]
struct Part {
    // A mutex: it is held for a look-up, and never across an await.
    progress: Mutex<Progress>,
    status: Mutex<Option<StatusWatch>>,
}

#[derive(Default)]
struct Progress {
    /// Those who fell behind.
    behind: HashMap<PusherKey, Behind>,
    /// Everybody else was told of all up to here.
    told: Position,
    /// Who is not behind is being told of what comes up to here.
    telling: Position,
}

/// A pusher whose gateway does not take what it is sent, for operators.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// Whose pusher.
    pub user: OwnedUserId,
    /// Of which app.
    pub app_id: String,
    /// The partition of the log in which it is behind.
    pub partition: Partition,
    /// It was told of all up to here.
    pub told: Position,
    /// Since when it has been failing.
    pub since: Timestamp,
    /// Failures in a row.
    pub failures: u32,
    /// What happened last.
    pub reason: String,
}

impl Push {
    /// Readers over `rooms` and `accounts` that ask through `transport`. Nothing is read before they are
    /// [started](Self::start).
    ///
    /// # Errors
    /// As every read.
    pub async fn open(
        rooms: Arc<Rooms>,
        accounts: Arc<Accounts>,
        transport: Arc<dyn Transport>,
    ) -> Result<Arc<Self>, Error> {
        let partitions = rooms.store().engine().partitions();
        let parts = (0..partitions).map(|_| Part::default()).collect();
        let known = Known::read(&accounts).await?;
        let places = Semaphore::new(limits::PUSH_AT_ONCE);
        Ok(Arc::new(Self { rooms, accounts, transport, known, places, parts, badges: Mutex::default() }))
    }

    /// Reads from where reading ended the last time, until `stop`; under a lease in the name of `holder` where several
    /// processes share the store. Await the tasks before the store is closed.
    ///
    /// # Errors
    /// As every read.
    pub async fn start(
        self: &Arc<Self>,
        store: &Arc<storage::Store>,
        holder: Option<&str>,
        stop: &Shutdown,
    ) -> Result<Vec<JoinHandle<()>>, Error> {
        self.known.stop_with(stop);
        let mut tasks = Vec::new();
        for partition in (0..self.rooms.store().engine().partitions()).map(Partition) {
            let mut options = ReaderOptions::new("push", partition);
            let push = Arc::clone(self);
            options.filter = Arc::new(move |entry: &LogEntry| push.known.wants(entry));
            options.begin = Begin::AtHead;
            options.holder = holder.map(ToOwned::to_owned);
            options.batch = limits::PUSH_BATCH;
            let handler = Follow { push: Arc::clone(self), partition };
            let (reader, status) = Reader::new(Arc::clone(store), options, handler);
            *self.part(partition).status.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
            // Before the reader runs: it must not tell those who are behind.
            let behind = behind::load(self, partition).await?;
            self.progress(partition).behind = behind.iter().cloned().collect();
            for (key, _) in behind {
                tasks.push(task::spawn(behind::run(Arc::clone(self), partition, key, stop.clone())));
            }
            tasks.push(task::spawn(reader.run(stop.clone())));
        }
        Ok(tasks)
    }

    /// The pushers that are behind, and why.
    pub fn troubles(&self) -> Vec<Trouble> {
        let partitions = (0..).map(Partition).zip(&self.parts);
        let mut troubles = Vec::new();
        for (partition, part) in partitions {
            let progress = part.progress.lock().unwrap_or_else(PoisonError::into_inner);
            troubles.extend(progress.behind.iter().map(|(key, behind)| Trouble {
                user: key.user.clone(),
                app_id: key.app_id.clone(),
                partition,
                told: behind.told,
                since: behind.since,
                failures: behind.failures,
                reason: behind.reason.clone(),
            }));
        }
        troubles.sort_by(|a, b| (a.since, &a.user, &a.app_id).cmp(&(b.since, &b.user, &b.app_id)));
        troubles
    }

    fn part(&self, partition: Partition) -> &Part {
        // There are as many as the store has partitions, and readers are made for those only.
        &self.parts[usize::from(partition.0)]
    }

    fn progress(&self, partition: Partition) -> MutexGuard<'_, Progress> {
        self.part(partition).progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Up to where the reader of `partition` has told, and is telling; `None` before it has begun.
    fn reached(&self, partition: Partition) -> Option<[Position; 2]> {
        let status = self.part(partition).status.lock().unwrap_or_else(PoisonError::into_inner);
        let status = status.as_ref()?.borrow().clone();
        if status.activity == Activity::Waiting {
            return None;
        }
        let progress = self.progress(partition);
        let told = progress.told.max(status.cursor);
        Some([told, progress.telling.max(told)])
    }

    /// How many events `user` has not read, in all rooms.
    async fn badge(&self, user: &UserId) -> Result<u64, Error> {
        let settings = self.accounts.push_settings(user).await?;
        let (ruleset, ignored, version) = (&settings.ruleset, &*settings.ignored, settings.version);
        let reader = Recipient { user, ruleset, ignored, version };
        let memberships = rooms::append::rooms_of_user(self.rooms.store(), user).await?;
        let joined = memberships.into_iter().filter(|membership| membership.membership == "join");
        let mut unread = 0;
        for membership in joined.take(limits::PUSH_BADGE_ROOMS) {
            unread += self.rooms.unread(membership.room, reader).await?.total().notifications;
        }
        Ok(unread)
    }
}

impl fmt::Debug for Push {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the readers for push gateways")
    }
}

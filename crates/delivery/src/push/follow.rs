//! The reader of one partition: whom each entry concerns, and telling all of their gateways at the same time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use accounts::{PUSHERS_CHANGED, Pusher, PushersLog};
use async_trait::async_trait;
use base::{Partition, Position, limits, task};
use rooms::append::{EVENT_ACCEPTED, LogRecord};
use rooms::notice::rules::notifies;
use rooms::notice::{Accepted, RECEIPT_MOVED, Reader as Recipient, ReceiptLog};
use ruma::OwnedUserId;
use storage::reader::{Handler, HandlerError};
use storage::{LogEntry, Record};
use tokio::sync::mpsc;

use crate::error::Error;
use crate::push::behind::{self, Behind};
use crate::push::gateway::Told;
use crate::push::{Push, PusherKey};

/// The handler.
pub(super) struct Follow {
    pub(super) push: Arc<Push>,
    pub(super) partition: Partition,
}

/// What one batch of entries comes to.
#[derive(Default)]
struct Work {
    /// What each pusher is to be told, in order.
    tell: BTreeMap<PusherKey, (Pusher, Vec<Accepted>)>,
    /// Whose number of unread events may be another.
    badges: BTreeSet<OwnedUserId>,
}

/// How far a pusher was told.
struct Report {
    key: PusherKey,
    /// The first event that it was not told of, and why.
    stopped: Option<(Accepted, String)>,
}

#[async_trait]
impl Handler for Follow {
    async fn handle(&mut self, entries: &[LogEntry]) -> Result<(), HandlerError> {
        let Some(last) = entries.last().map(|entry| entry.position) else { return Ok(()) };
        // From now on nobody who is behind may think that they have caught up before this batch is done.
        self.push.progress(self.partition).telling = last;
        let mut work = Work::default();
        for entry in entries {
            self.add(&mut work, entry).await.map_err(|error| error.at(entry.position))?;
        }
        self.tell(work.tell).await.map_err(|error| error.at(last))?;
        self.push.progress(self.partition).told = last;
        self.tell_badges(work.badges);
        Ok(())
    }
}

impl Follow {
    /// Adds what `entry` comes to.
    async fn add(&self, work: &mut Work, entry: &LogEntry) -> Result<(), Error> {
        let damaged = |error| Error::Damaged { what: format!("the log entry at {}: {error}", entry.position) };
        match entry.kind {
            PUSHERS_CHANGED => {
                let PushersLog { user } = PushersLog::decode(&entry.payload).map_err(damaged)?;
                self.push.known.reload(&self.push.accounts, &user).await
            }
            RECEIPT_MOVED => {
                let ReceiptLog { user, .. } = ReceiptLog::decode(&entry.payload).map_err(damaged)?;
                if self.push.known.has(&user) {
                    work.badges.insert(user);
                }
                Ok(())
            }
            EVENT_ACCEPTED if !self.push.known.is_empty() => {
                let LogRecord { room, event } = LogRecord::decode(&entry.payload).map_err(damaged)?;
                self.add_event(work, Accepted { position: entry.position, room, event }).await
            }
            _ => Ok(()),
        }
    }

    async fn add_event(&self, work: &mut Work, accepted: Accepted) -> Result<(), Error> {
        let Push { rooms, accounts, known, .. } = &*self.push;
        let audience = known.audience(rooms, accepted.room, accepted.event).await?;
        let mut settings = Vec::with_capacity(audience.len());
        for user in &audience {
            settings.push(accounts.push_settings(user).await?);
        }
        let readers = audience.iter().zip(&settings).map(|(user, settings)| {
            let (ruleset, ignored, version) = (&settings.ruleset, &*settings.ignored, settings.version);
            Recipient { user, ruleset, ignored, version }
        });
        let readers: Vec<Recipient<'_>> = readers.collect();
        let actions = rooms.actions(accepted.room, accepted.event, &readers).await?;
        for (user, _) in audience.iter().zip(actions).filter(|(_, actions)| notifies(actions)) {
            for pusher in known.pushers(user).iter() {
                let key = PusherKey::of(pusher);
                if !self.push.progress(self.partition).behind.contains_key(&key) {
                    work.tell.entry(key).or_insert_with(|| (pusher.clone(), Vec::new())).1.push(accepted);
                }
            }
        }
        Ok(())
    }

    /// Tells all at once. Who does not know all within the time that all wait for the slowest falls behind.
    async fn tell(&self, work: BTreeMap<PusherKey, (Pusher, Vec<Accepted>)>) -> Result<(), Error> {
        if work.is_empty() {
            return Ok(());
        }
        let first = work.iter().filter_map(|(key, (_, events))| Some((key.clone(), *events.first()?)));
        let mut open: BTreeMap<PusherKey, Accepted> = first.collect();
        let (sender, mut reports) = mpsc::channel(work.len());
        let mut tasks = Vec::with_capacity(work.len());
        for (key, (pusher, events)) in work {
            let (push, sender) = (Arc::clone(&self.push), sender.clone());
            tasks.push(task::spawn(async move {
                let report = Report { key, stopped: push.tell_all(&pusher, events).await };
                // Nobody listens any more when it took too long.
                let _ = sender.send(report).await;
            }));
        }
        drop(sender);
        let clock = self.push.accounts.store().clock();
        let deadline = clock.monotonic().after(limits::PUSH_PATIENCE);
        let mut fallen = Vec::new();
        loop {
            let left = deadline.since(clock.monotonic());
            let Some(Some(report)) = clock.timeout(left, reports.recv()).await else { break };
            open.remove(&report.key);
            fallen.extend(report.stopped.map(|(event, reason)| (report.key, event, reason)));
        }
        tasks.iter().for_each(tokio::task::JoinHandle::abort);
        let late = || format!("it took longer than {} ms", limits::PUSH_PATIENCE.as_millis());
        fallen.extend(open.into_iter().map(|(key, event)| (key, event, late())));
        self.fall_behind(fallen).await
    }

    /// Writes down who fell behind, in one batch, and lets each go on by themselves.
    async fn fall_behind(&self, fallen: Vec<(PusherKey, Accepted, String)>) -> Result<(), Error> {
        if fallen.is_empty() {
            return Ok(());
        }
        let now = self.push.accounts.store().clock().now();
        let fallen = fallen.into_iter().map(|(key, event, reason)| {
            let told = Position(event.position.0.saturating_sub(1));
            tracing::warn!(user = %key.user, app = key.app_id, reason, "a push gateway falls behind");
            (key, Behind { told, since: now, failures: 1, reason })
        });
        let fallen: Vec<(PusherKey, Behind)> = fallen.collect();
        behind::store(&self.push, self.partition, &fallen).await?;
        for (key, behind) in fallen {
            self.push.progress(self.partition).behind.insert(key.clone(), behind);
            if let Some(stop) = self.push.known.stop() {
                task::spawn(behind::run(Arc::clone(&self.push), self.partition, key, stop));
            }
        }
        Ok(())
    }

    /// Nobody waits for this, and it is not tried again: the next event brings the number as well.
    fn tell_badges(&self, users: BTreeSet<OwnedUserId>) {
        for user in users {
            let (push, partition) = (Arc::clone(&self.push), self.partition);
            task::spawn(async move {
                for pusher in push.known.pushers(&user).iter() {
                    let is_behind = push.progress(partition).behind.contains_key(&PusherKey::of(pusher));
                    if !is_behind && let Err(error) = push.tell_badge(pusher).await {
                        tracing::warn!(%user, %error, "a gateway was not told how much is unread");
                    }
                }
            });
        }
    }
}

impl Push {
    /// Tells a gateway of events in their order; the first that it was not told of, and why.
    async fn tell_all(&self, pusher: &Pusher, events: Vec<Accepted>) -> Option<(Accepted, String)> {
        for event in events {
            match self.tell(pusher, event).await {
                Ok(Told::Yes) => {}
                Ok(Told::Gone) => return None,
                Ok(Told::No(reason)) => return Some((event, reason)),
                Err(error) => return Some((event, error.to_string())),
            }
        }
        None
    }
}

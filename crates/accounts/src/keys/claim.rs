//! Giving out one-time keys (<https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysclaim>): in the order
//! of their upload, and none twice.
//!
//! A claim moves the device's row past the key it takes, under the precondition that the row is as it was read; the key
//! itself stays where it is and is forgotten at a later upload. Claims of one process that come while others are being
//! written share the next batch, so that those for one device do not run into each other: it is a few reads and one write
//! for all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use base::backoff::Backoff;
use base::limits;
use ruma::encryption::OneTimeKey;
use ruma::serde::Raw;
use ruma::{OneTimeKeyAlgorithm, OwnedDeviceId, OwnedOneTimeKeyId, OwnedServerName, OwnedUserId};
use storage::{Batch, Key, Store, Stored, Version};
use tokio::sync::oneshot;

use crate::accounts::Accounts;
use crate::error::{Error, Refusal};
use crate::keys::decode;
use crate::keys::one_time::{StoredKey, fallback_key, one_time_key};
use crate::keys::state::{DeviceState, FallbackUse, state_key};

/// The keys that were given out for one user's devices.
pub type OneTimeKeysOfUser = BTreeMap<OwnedDeviceId, BTreeMap<OwnedOneTimeKeyId, Raw<OneTimeKey>>>;

/// What came of a claim.
#[derive(Clone, Debug, Default)]
pub struct Claimed {
    /// The keys. A device that has none left, or is none, is not there, nor is a user without such a device.
    pub keys: BTreeMap<OwnedUserId, OneTimeKeysOfUser>,
    /// Other servers, which were not asked: their users' keys are for federation to claim.
    pub not_asked: BTreeSet<OwnedServerName>,
}

/// A key that is wanted.
struct Wanted {
    /// Where the device's row is.
    state: Key,
    algorithm: String,
}

/// Claims that wait together, and who waits for them.
struct Waiting {
    wanted: Vec<Wanted>,
    answer: oneshot::Sender<Result<Vec<Option<StoredKey>>, Error>>,
}

/// All claims of this process.
pub(crate) struct Claims(Arc<Shared>);

struct Shared {
    store: Arc<Store>,
    waiting: Mutex<Vec<Waiting>>,
    /// Held by who answers claims.
    turn: tokio::sync::Mutex<()>,
}

impl Accounts {
    /// Claims a one-time key for each device named, or its fallback key when none is left.
    ///
    /// # Errors
    /// [`Refusal::InvalidParam`] for too many; as every commit. When a batch fails whose outcome is not known, keys may be
    /// lost; none is ever given out twice.
    pub async fn claim_keys(
        &self,
        wanted: &BTreeMap<OwnedUserId, BTreeMap<OwnedDeviceId, OneTimeKeyAlgorithm>>,
    ) -> Result<Claimed, Error> {
        let mut claimed = Claimed::default();
        let (mut whose, mut keys) = (Vec::new(), Vec::new());
        for (user, devices) in wanted {
            if user.server_name() != self.server() {
                claimed.not_asked.insert(user.server_name().to_owned());
                continue;
            }
            for (device, algorithm) in devices {
                if device.as_str().len() <= limits::DEVICE_ID_BYTES {
                    whose.push((user, device));
                    keys.push(Wanted { state: state_key(user, device), algorithm: algorithm.to_string() });
                }
            }
        }
        if keys.len() > limits::KEYS_CLAIMED {
            return Err(Refusal::invalid(format!("at most {} keys are claimed at once", limits::KEYS_CLAIMED)).into());
        }
        for ((user, device), key) in whose.into_iter().zip(self.claims.claim(keys).await?) {
            if let Some(key) = key {
                let (name, key) = key.into_ruma()?;
                let devices = claimed.keys.entry(user.clone()).or_default();
                devices.entry(device.clone()).or_default().insert(name, key);
            }
        }
        Ok(claimed)
    }
}

impl Claims {
    pub(crate) fn new(store: Arc<Store>) -> Self {
        Self(Arc::new(Shared { store, waiting: Mutex::default(), turn: tokio::sync::Mutex::default() }))
    }

    /// The keys for `wanted`, in that order.
    async fn claim(&self, mut wanted: Vec<Wanted>) -> Result<Vec<Option<StoredKey>>, Error> {
        let mut found = Vec::with_capacity(wanted.len());
        while !wanted.is_empty() {
            let later = wanted.split_off(wanted.len().min(limits::CLAIMS_AT_ONCE));
            found.extend(self.claim_some(wanted).await?);
            wanted = later;
        }
        Ok(found)
    }

    async fn claim_some(&self, wanted: Vec<Wanted>) -> Result<Vec<Option<StoredKey>>, Error> {
        let (answer, answered) = oneshot::channel();
        lock(&self.0.waiting).push(Waiting { wanted, answer });
        // A task of its own: a client that hangs up half-way must not take others' answers with it.
        let shared = Arc::clone(&self.0);
        base::task::spawn(async move {
            let _turn = shared.turn.lock().await;
            shared.serve().await;
        });
        match answered.await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::damaged("a claim was dropped")),
        }
    }
}

fn lock(waiting: &Mutex<Vec<Waiting>>) -> std::sync::MutexGuard<'_, Vec<Waiting>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Answers some of those who wait: at least the first, if there is one. There is a task for each of them, so nobody is
    /// forgotten.
    async fn serve(&self) {
        let mut group = self.take();
        if group.is_empty() {
            return;
        }
        match self.claim(group.iter().flat_map(|waiting| &waiting.wanted)).await {
            Ok(found) => {
                let mut found = found.into_iter();
                for Waiting { wanted, answer } in group {
                    // Who no longer waits has lost the keys: they may be on their way.
                    let _ = answer.send(Ok(found.by_ref().take(wanted.len()).collect()));
                }
            }
            Err(error) if group.len() == 1 => {
                if let Some(Waiting { answer, .. }) = group.pop() {
                    let _ = answer.send(Err(error));
                }
            }
            // One damaged row must not fail everybody's claim.
            Err(_) => {
                for Waiting { wanted, answer } in group {
                    let _ = answer.send(self.claim(wanted.iter()).await);
                }
            }
        }
    }

    fn take(&self) -> Vec<Waiting> {
        let mut waiting = lock(&self.waiting);
        let mut keys = 0;
        let fits = waiting.iter().take_while(|next| {
            keys += next.wanted.len();
            keys <= limits::CLAIMS_AT_ONCE
        });
        let count = fits.count().max(1).min(waiting.len());
        waiting.drain(..count).collect()
    }

    /// Claims until no other node was faster.
    async fn claim(&self, wanted: impl Iterator<Item = &Wanted> + Clone) -> Result<Vec<Option<StoredKey>>, Error> {
        let backoff = Backoff { first: limits::ACCOUNT_RETRY_FIRST, most: limits::ACCOUNT_RETRY_MOST };
        for attempts in 1..=limits::ACCOUNT_ATTEMPTS {
            match self.claim_once(wanted.clone()).await {
                Err(error) if error.is_conflict() => {
                    self.store.clock().sleep(backoff.wait(attempts, self.store.random())).await;
                }
                outcome => return outcome,
            }
        }
        Err(Error::Busy { attempts: limits::ACCOUNT_ATTEMPTS })
    }

    async fn claim_once(&self, wanted: impl Iterator<Item = &Wanted> + Clone) -> Result<Vec<Option<StoredKey>>, Error> {
        let states: BTreeSet<&Key> = wanted.clone().map(|wanted| &wanted.state).collect();
        let states: Vec<Key> = states.into_iter().cloned().collect();
        let rows = self.store.engine().get_many(&states).await.map_err(Error::storage("reading devices' keys"))?;
        let mut devices: BTreeMap<&Key, Device> = BTreeMap::new();
        for (key, row) in states.iter().zip(rows) {
            if let Some(row) = row {
                let state = decode("a device's keys", &row.value)?;
                devices.insert(key, Device { state, version: row.version, changed: false });
            }
        }
        let taken: Vec<Option<Key>> = wanted
            .map(|wanted| devices.get_mut(&wanted.state).and_then(|device| device.take(&wanted.algorithm)))
            .collect();
        let rows: Vec<Key> = taken.iter().flatten().cloned().collect();
        let rows = self.store.engine().get_many(&rows).await.map_err(Error::storage("reading one-time keys"))?;
        let mut batch = Batch::new();
        for (key, device) in devices.iter().filter(|(_, device)| device.changed) {
            batch.require_unchanged(key, device.version);
            batch.put_record(key, &device.state);
        }
        if !batch.is_empty() {
            self.store.commit(batch).await.map_err(Error::storage("claiming one-time keys"))?;
        }
        let mut rows = rows.into_iter();
        Ok(taken.into_iter().map(|taken| read_key(rows.by_ref(), taken)).collect())
    }
}

/// The key that was taken, off the rows of all that were. One that cannot be read is lost; the others must not be.
fn read_key(rows: &mut impl Iterator<Item = Option<Stored>>, taken: Option<Key>) -> Option<StoredKey> {
    let (key, row) = (taken?, rows.next()?);
    let Some(row) = row else {
        tracing::error!(%key, "a one-time key that should be there is not");
        return None;
    };
    match decode("a one-time key", &row.value) {
        Ok(stored) => Some(stored),
        Err(error) => {
            tracing::error!(%key, %error, "a one-time key cannot be read");
            None
        }
    }
}

/// A device while its keys are given out.
struct Device {
    state: DeviceState,
    version: Version,
    changed: bool,
}

impl Device {
    /// Takes the oldest key of `algorithm`, or else the fallback key: where it is.
    fn take(&mut self, algorithm: &str) -> Option<Key> {
        let number = self.state.number;
        let stocks = &mut self.state.stocks;
        if let Some((at, stock)) =
            stocks.iter_mut().enumerate().find(|(_, stock)| stock.algorithm == algorithm && stock.left() > 0)
        {
            let order = stock.first;
            stock.first += 1;
            self.changed = true;
            return Some(one_time_key(number, at, order));
        }
        let fallbacks = &mut self.state.fallbacks;
        let (at, fallback) = fallbacks.iter_mut().enumerate().find(|(_, key)| key.algorithm == algorithm)?;
        match fallback.is {
            FallbackUse::Absent => return None,
            FallbackUse::Used => {}
            FallbackUse::Unused => {
                fallback.is = FallbackUse::Used;
                self.changed = true;
            }
        }
        Some(fallback_key(number, at))
    }
}

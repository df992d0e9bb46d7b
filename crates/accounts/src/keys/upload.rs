//! Taking in the keys of a device (<https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysupload>).
//!
//! An upload may come twice, or in part once more: what is there already is passed over. The whole of it is one batch, under
//! the precondition that the device's row is as it was read, so no upload and no claim ever misses another.

use std::collections::BTreeMap;

use base::limits;
use protocol::bundle::upload::{KeysUpload, Uploader};
use protocol::bundle::{BundleError, DeviceKeys, OneTimeKey};
use protocol::canonical::{Object, Value};
use ruma::serde::Raw;
use ruma::{DeviceId, OwnedOneTimeKeyId, UserId};
use serde::{Deserialize, Serialize};
use storage::{Batch, Direction, Version};

use crate::accounts::{Accounts, settle};
use crate::error::{Error, Refusal};
use crate::keys::changes::put_device_list_change;
use crate::keys::cross_signing::cross_signing_key;
use crate::keys::decode;
use crate::keys::one_time::{StoredKey, fallback_key, one_time_key, one_time_keys, order_of};
use crate::keys::state::{DeviceState, FallbackState, FallbackUse, KeyCounts, Stock, device_keys_key, state_key};

/// The keys that a device uploads, as they came.
#[derive(Clone, Debug, Default)]
pub struct KeysToUpload {
    /// Its identity keys.
    pub device_keys: Option<Raw<ruma::encryption::DeviceKeys>>,
    /// One-time keys by name.
    pub one_time_keys: BTreeMap<OwnedOneTimeKeyId, Raw<ruma::encryption::OneTimeKey>>,
    /// Fallback keys by name.
    pub fallback_keys: BTreeMap<OwnedOneTimeKeyId, Raw<ruma::encryption::OneTimeKey>>,
}

impl KeysToUpload {
    /// The same as an object that [`KeysUpload`] reads.
    pub(crate) fn body(&self) -> Result<Object, Refusal> {
        let mut body = Object::new();
        if let Some(device_keys) = &self.device_keys {
            body.insert("device_keys", value(device_keys.json().get())?);
        }
        for (field, keys) in [("one_time_keys", &self.one_time_keys), ("fallback_keys", &self.fallback_keys)] {
            let bytes: usize = keys.values().map(|key| key.json().get().len()).sum();
            if bytes > limits::KEY_UPLOAD_BYTES {
                return Err(Refusal::TooLarge { what: "an upload of keys", most: limits::KEY_UPLOAD_BYTES });
            }
            let keys = keys.iter().map(|(name, key)| Ok((name.to_string(), value(key.json().get())?)));
            body.insert(field, keys.collect::<Result<Object, Refusal>>()?);
        }
        Ok(body)
    }
}

fn value(json: &str) -> Result<Value, Refusal> {
    Value::parse(json.as_bytes()).map_err(|error| Refusal::Bundle(BundleError::Json(error)))
}

/// Identity keys of a device as they are stored, `unsigned` left out: what a query adds there is ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeviceKeysRecord {
    pub(crate) json: String,
    /// Whether the device has signed them. If not, no client uses them, and nothing can be checked against them.
    pub(crate) signed: bool,
}

storage::first_version!(DeviceKeysRecord);

impl DeviceKeysRecord {
    /// The keys again, checked as when they came. Nothing for keys that are not signed.
    pub(crate) fn keys(&self, user: &UserId, device: &DeviceId) -> Result<Option<DeviceKeys>, Error> {
        if !self.signed {
            return Ok(None);
        }
        let damaged = |error: BundleError| Error::damaged(format!("stored device keys: {error}"));
        let keys = DeviceKeys::verify(self.object()?, user.as_str(), device.as_str());
        Ok(Some(keys.map_err(damaged)?))
    }

    pub(crate) fn object(&self) -> Result<Object, Error> {
        Object::parse(self.json.as_bytes()).map_err(|error| Error::damaged(format!("stored device keys: {error}")))
    }
}

/// The object to store for `new`, where `old` is stored. When they say the same, signatures that others added to the old one
/// stay: a client that repeats an upload does not know of them.
pub(crate) fn merged(new: &Object, old: Option<&Object>) -> Object {
    let mut merged = new.clone();
    merged.remove("unsigned");
    let Some(old) = old.filter(|old| old.signed_bytes() == new.signed_bytes()) else { return merged };
    let mut signatures = old.clone();
    for (signer, added) in new.get("signatures").and_then(Value::as_object).into_iter().flat_map(Object::iter) {
        add_signatures(&mut signatures, signer, added);
    }
    signatures.remove("unsigned");
    signatures
}

/// Adds what `signer` signed to the signatures of `object`.
pub(crate) fn add_signatures(object: &mut Object, signer: &str, added: &Value) {
    let Some(added) = added.as_object() else { return };
    if object.get("signatures").is_none() {
        object.insert("signatures", Object::new());
    }
    let Some(Value::Object(all)) = object.get_mut("signatures") else { return };
    if all.get(signer).is_none() {
        all.insert(signer, Object::new());
    }
    if let Some(Value::Object(by_signer)) = all.get_mut(signer) {
        for (key_id, signature) in added.iter() {
            by_signer.insert(key_id, signature.clone());
        }
    }
}

/// A device as it was read, while an upload is put together.
pub(crate) struct Uploading<'a> {
    pub(crate) accounts: &'a Accounts,
    pub(crate) user: &'a UserId,
    pub(crate) device: &'a DeviceId,
    pub(crate) state: DeviceState,
    pub(crate) batch: Batch,
    changed: bool,
}

impl Accounts {
    /// Takes in keys of `device`, and says how many of its one-time keys are there then.
    ///
    /// # Errors
    /// [`Refusal::Bundle`] for keys that are malformed or wrongly signed, [`Refusal::InvalidParam`] for another key under the
    /// name of one that is there, [`Refusal::TooMany`], [`Refusal::TooLarge`], [`Refusal::NotFound`] when the device is gone;
    /// as every commit.
    pub async fn upload_keys(&self, user: &UserId, device: &DeviceId, keys: &KeysToUpload) -> Result<KeyCounts, Error> {
        let body = keys.body()?;
        settle!(self, async {
            let found = self.device_state(user, device).await?;
            let (state, version) = found.ok_or(Refusal::NotFound { what: "device" })?;
            self.upload_once(user, device, state, Some(version), &body).await
        })
    }

    async fn upload_once(
        &self,
        user: &UserId,
        device: &DeviceId,
        state: DeviceState,
        version: Option<Version>,
        body: &Object,
    ) -> Result<KeyCounts, Error> {
        let mut uploading = Uploading::new(self, user, device, state);
        uploading.add(body).await?;
        let Uploading { state, mut batch, changed, .. } = uploading;
        if changed {
            let key = state_key(user, device);
            batch.require_version(&key, version);
            batch.put_record(&key, &state);
            self.commit("storing a device's keys", batch).await?;
        }
        Ok(state.counts())
    }
}

impl<'a> Uploading<'a> {
    /// An upload to a device that has `state`.
    pub(crate) fn new(accounts: &'a Accounts, user: &'a UserId, device: &'a DeviceId, state: DeviceState) -> Self {
        Self { accounts, user, device, state, batch: Batch::new(), changed: false }
    }

    /// Checks `body` and adds what is new in it. The device's row is for the caller to write.
    pub(crate) async fn add(&mut self, body: &Object) -> Result<(), Error> {
        let key = device_keys_key(self.user, self.device);
        let keys = [key.clone(), cross_signing_key(self.user)];
        let rows = self.accounts.store().engine().get_many(&keys).await;
        let mut rows = rows.map_err(Error::storage("reading a device's keys"))?.into_iter();
        let (known, signing) = (rows.next().flatten(), rows.next().flatten());
        let version = known.as_ref().map(|row| row.version);
        let known = known.map(|row| decode::<DeviceKeysRecord>("device keys", &row.value)).transpose()?;
        let known_keys = match &known {
            Some(known) => known.keys(self.user, self.device)?,
            None => None,
        };
        let cross_signing_keys = match signing {
            Some(row) => super::cross_signing::public_keys(&row.value)?,
            None => Vec::new(),
        };
        let uploader = Uploader {
            user_id: self.user.as_str(),
            device_id: self.device.as_str(),
            device: known_keys.as_ref(),
            cross_signing_keys: &cross_signing_keys,
        };
        let upload = KeysUpload::check(body, &uploader)?;
        let signed = upload.device_keys.as_ref().map(|keys| (keys.as_object(), true));
        if let Some((object, signed)) =
            signed.or(upload.unsigned_device_keys.as_ref().map(|keys| (keys.as_object(), false)))
        {
            let known_object = known.as_ref().map(DeviceKeysRecord::object).transpose()?;
            let record = DeviceKeysRecord { json: merged(object, known_object.as_ref()).to_canonical(), signed };
            if record.json.len() > limits::SIGNED_KEY_BYTES {
                return Err(Refusal::TooLarge { what: "device keys", most: limits::SIGNED_KEY_BYTES }.into());
            }
            let same = match (&upload.device_keys, &known_keys) {
                (Some(new), Some(known)) => new.same_identity(known),
                _ => known.is_none(),
            };
            if !same {
                self.forget_one_time_keys().await?;
            }
            if known.as_ref() != Some(&record) {
                self.batch.require_version(&key, version);
                self.batch.put_record(&key, &record);
                put_device_list_change(self.accounts, &mut self.batch, self.user);
                self.changed = true;
            }
        }
        self.add_one_time_keys(&upload.one_time_keys).await?;
        self.add_fallback_keys(&upload.fallback_keys).await
    }

    /// The device has another identity now: whoever claimed one of its former keys would find it wrongly signed.
    async fn forget_one_time_keys(&mut self) -> Result<(), Error> {
        for at in 0..self.state.stocks.len() {
            for (order, _) in self.stored(at).await? {
                self.batch.delete(&one_time_key(self.state.number, at, order));
            }
        }
        for stock in &mut self.state.stocks {
            (stock.kept, stock.first) = (stock.next, stock.next);
        }
        for at in 0..self.state.fallbacks.len() {
            self.batch.delete(&fallback_key(self.state.number, at));
        }
        self.state.fallbacks.iter_mut().for_each(|key| key.is = FallbackUse::Absent);
        self.changed = true;
        Ok(())
    }

    /// The keys of a stock, claimed ones that are remembered included.
    async fn stored(&self, at: usize) -> Result<Vec<(u64, StoredKey)>, Error> {
        let (mut range, mut found) = (one_time_keys(self.state.number, at), Vec::new());
        loop {
            let page = self.accounts.store().scan(&range, Direction::Forward, limits::SCAN_ROWS).await;
            let page = page.map_err(Error::storage("reading one-time keys"))?;
            for row in page.rows {
                found.push((order_of(&row.key)?, decode("a one-time key", &row.value)?));
            }
            match page.rest {
                Some(rest) => range = rest,
                None => return Ok(found),
            }
        }
    }

    async fn add_one_time_keys(&mut self, keys: &[OneTimeKey]) -> Result<(), Error> {
        let mut by_algorithm: BTreeMap<&str, Vec<&OneTimeKey>> = BTreeMap::new();
        for key in keys {
            by_algorithm.entry(key.algorithm()).or_default().push(key);
        }
        for (algorithm, keys) in by_algorithm {
            let at = self.stock_of(algorithm)?;
            let stored = self.stored(at).await?;
            self.add_to_stock(at, &stored, &keys)?;
        }
        Ok(())
    }

    fn stock_of(&mut self, algorithm: &str) -> Result<usize, Error> {
        if let Some(at) = self.state.stocks.iter().position(|stock| stock.algorithm == algorithm) {
            return Ok(at);
        }
        check_count(self.state.stocks.len())?;
        self.state.stocks.push(Stock { algorithm: algorithm.to_owned(), kept: 0, first: 0, next: 0 });
        Ok(self.state.stocks.len() - 1)
    }

    fn add_to_stock(&mut self, at: usize, stored: &[(u64, StoredKey)], keys: &[&OneTimeKey]) -> Result<(), Error> {
        let number = self.state.number;
        let Some(stock) = self.state.stocks.get_mut(at) else { return Ok(()) };
        let by_name: BTreeMap<&str, (u64, &StoredKey)> =
            stored.iter().map(|(order, key)| (key.name.as_str(), (*order, key))).collect();
        let before = stock.next;
        for key in keys {
            if let Some((order, known)) = by_name.get(key.name()) {
                if known.is(key) {
                    continue;
                }
                if *order >= stock.first {
                    let what = format!("there is another one-time key {} already", key.name());
                    return Err(Refusal::invalid(what).into());
                }
            }
            check_size(key)?;
            self.batch.put_record(&one_time_key(number, at, stock.next), &StoredKey::of(key));
            stock.next += 1;
        }
        if stock.left() > limits::ONE_TIME_KEYS {
            let most = usize::try_from(limits::ONE_TIME_KEYS).unwrap_or(usize::MAX);
            return Err(Refusal::TooMany { what: "one-time keys of an algorithm", most }.into());
        }
        if stock.next == before {
            return Ok(());
        }
        self.changed = true;
        let forgotten = stock.first.saturating_sub(limits::CLAIMED_KEYS_REMEMBERED).max(stock.kept);
        stored
            .iter()
            .filter(|(order, _)| *order < forgotten)
            .for_each(|(order, _)| self.batch.delete(&one_time_key(number, at, *order)));
        stock.kept = forgotten;
        Ok(())
    }

    async fn add_fallback_keys(&mut self, keys: &[OneTimeKey]) -> Result<(), Error> {
        for key in keys {
            check_size(key)?;
            let at = match self.state.fallbacks.iter().position(|known| known.algorithm == key.algorithm()) {
                Some(at) => at,
                None => {
                    check_count(self.state.fallbacks.len())?;
                    let algorithm = key.algorithm().to_owned();
                    self.state.fallbacks.push(FallbackState { algorithm, is: FallbackUse::Absent });
                    self.state.fallbacks.len() - 1
                }
            };
            let row = fallback_key(self.state.number, at);
            let known = self.accounts.store().get_record::<StoredKey>(&row).await;
            let known = known.map_err(Error::storage("reading a fallback key"))?;
            // The same key again is as used as it was.
            if known.is_some_and(|(known, _)| known.name == key.name() && known.is(key)) {
                continue;
            }
            self.batch.put_record(&row, &StoredKey::of(key));
            if let Some(fallback) = self.state.fallbacks.get_mut(at) {
                fallback.is = FallbackUse::Unused;
            }
            self.changed = true;
        }
        Ok(())
    }
}

fn check_count(algorithms: usize) -> Result<(), Refusal> {
    if algorithms >= limits::ONE_TIME_KEY_ALGORITHMS {
        let (what, most) = ("algorithms of one-time keys", limits::ONE_TIME_KEY_ALGORITHMS);
        return Err(Refusal::TooMany { what, most });
    }
    Ok(())
}

fn check_size(key: &OneTimeKey) -> Result<(), Refusal> {
    if key.value().to_canonical().len() > limits::ONE_TIME_KEY_BYTES {
        return Err(Refusal::TooLarge { what: "a one-time key", most: limits::ONE_TIME_KEY_BYTES });
    }
    Ok(())
}

//! Sending messages to devices: one request is one batch, all of it or nothing, and once.

use std::collections::BTreeMap;

use base::limits;
use ruma::serde::Raw;
use ruma::to_device::DeviceIdOrAllDevices;
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, TransactionId, UserId};
use serde::Serialize;
use serde_json::value::RawValue;
use storage::table::TO_DEVICE;
use storage::{Batch, Key, KeyWriter, Record, Template};

use crate::accounts::Accounts;
use crate::error::{Error, Refusal};
use crate::keys::{DeviceState, Number, decode, state_key};
use crate::to_device::sent::SentRequest;
use crate::to_device::{TO_DEVICE_SENT, ToDeviceLog};

/// What is sent to whom: by user and device, or all devices of the user.
pub type DeviceMessages<T> = BTreeMap<OwnedUserId, BTreeMap<DeviceIdOrAllDevices, Raw<T>>>;

/// Who sends, and what kind of message.
#[derive(Clone, Copy, Debug)]
pub struct Sending<'a> {
    /// The user.
    pub user: &'a UserId,
    /// The user's device.
    pub device: &'a DeviceId,
    /// The type of the messages.
    pub kind: &'a str,
    /// The request's transaction id.
    pub transaction: &'a TransactionId,
}

/// A device that a message goes to.
struct Recipient {
    device: OwnedDeviceId,
    number: Number,
}

/// A message as devices receive it.
#[derive(Serialize)]
struct Event<'a> {
    content: &'a RawValue,
    sender: &'a UserId,
    r#type: &'a str,
}

impl Accounts {
    /// Leaves `messages` in the inboxes of the devices that they are for, durably and all at once; the same request a second
    /// time does nothing. Messages to devices that do not exist are dropped, as are those to a device whose inbox is full.
    ///
    /// Users of other servers are passed over: what is for them is for federation to send.
    ///
    /// # Errors
    /// [`Refusal::BadJson`] for content that is no object, [`Refusal::TooLarge`] and [`Refusal::InvalidParam`] for too much;
    /// as every commit.
    pub async fn send_to_device<T>(&self, sending: Sending<'_>, messages: &DeviceMessages<T>) -> Result<(), Error> {
        let now = self.store().clock().now();
        let request = SentRequest::new(sending.user, sending.device, sending.kind, sending.transaction, now);
        let Some(found) = self.find_recipients(&request, messages).await? else { return Ok(()) };
        let mut batch = Batch::new();
        request.put(&mut batch);
        let mut budget = Budget::default();
        for (user, messages) in messages.iter().filter(|(user, _)| user.server_name() == self.server()) {
            let mut told = ToDeviceLog { user: user.clone(), devices: Vec::new() };
            let mut rows: Vec<(Number, Vec<u8>)> = Vec::new();
            for (to, content) in messages {
                let json = event(sending, content.json())?;
                for recipient in found.of(user, to) {
                    budget.spend(json.len())?;
                    if self.inboxes.takes(self.store(), recipient.number, json.len()).await? {
                        told.devices.push(recipient.device.clone());
                        rows.push((recipient.number, json.clone()));
                    } else {
                        tracing::debug!("a message was dropped: the inbox of its device is full");
                    }
                }
            }
            if rows.is_empty() {
                continue;
            }
            let stamp = batch.append(self.store().partition_of(user.as_str()), TO_DEVICE_SENT, told.encode());
            for (number, json) in rows {
                let key = KeyWriter::new(TO_DEVICE).part(&number).stamp(stamp).template();
                batch.put_template(key, Template::plain(json));
            }
        }
        match self.commit("sending to devices", batch).await {
            // Nothing else is required than that the request is new.
            Err(error) if error.is_conflict() => Ok(()),
            outcome => outcome.map(drop),
        }
    }

    /// The devices that the messages are for; `None` when the request was answered before. In one read, and one more for
    /// each user of whom all devices are meant.
    async fn find_recipients<T>(
        &self,
        request: &SentRequest,
        messages: &DeviceMessages<T>,
    ) -> Result<Option<Found>, Error> {
        let mut keys: Vec<Key> = request.keys().to_vec();
        let mut asked: Vec<(&UserId, &OwnedDeviceId)> = Vec::new();
        let mut found = Found::default();
        for (user, messages) in messages.iter().filter(|(user, _)| user.server_name() == self.server()) {
            for to in messages.keys() {
                match to {
                    DeviceIdOrAllDevices::AllDevices => {
                        let all = self.all_device_states(user).await?;
                        found.add_all(user, all);
                    }
                    DeviceIdOrAllDevices::DeviceId(device) if device.as_str().len() <= limits::DEVICE_ID_BYTES => {
                        asked.push((user, device));
                        keys.push(state_key(user, device));
                    }
                    DeviceIdOrAllDevices::DeviceId(_) => {}
                }
            }
        }
        if asked.len() > limits::TO_DEVICE_MESSAGES {
            return Err(too_many());
        }
        let rows = self.store().engine().get_many(&keys).await.map_err(Error::storage("looking for devices"))?;
        let mut rows = rows.into_iter();
        if rows.by_ref().take(request.keys().len()).any(|row| row.is_some()) {
            return Ok(None);
        }
        for ((user, device), row) in asked.into_iter().zip(rows) {
            if let Some(row) = row {
                let state: DeviceState = decode("a device's keys", &row.value)?;
                found.add(user, device, state.number);
            }
        }
        Ok(Some(found))
    }
}

/// Devices by whom a message is meant for.
#[derive(Default)]
struct Found(BTreeMap<OwnedUserId, BTreeMap<DeviceIdOrAllDevices, Vec<Recipient>>>);

impl Found {
    fn add(&mut self, user: &UserId, device: &OwnedDeviceId, number: Number) {
        let recipient = Recipient { device: device.clone(), number };
        let by_user = self.0.entry(user.to_owned()).or_default();
        by_user.insert(DeviceIdOrAllDevices::DeviceId(device.clone()), vec![recipient]);
    }

    fn add_all(&mut self, user: &UserId, all: Vec<(OwnedDeviceId, DeviceState)>) {
        let recipients = all.into_iter().map(|(device, state)| Recipient { device, number: state.number });
        let by_user = self.0.entry(user.to_owned()).or_default();
        by_user.insert(DeviceIdOrAllDevices::AllDevices, recipients.collect());
    }

    /// For a device that is meant by its name and by `*`, its name counts: a transaction has one message for each device.
    fn of<'a>(&'a self, user: &UserId, to: &'a DeviceIdOrAllDevices) -> impl Iterator<Item = &'a Recipient> {
        let by_user = self.0.get(user);
        let recipients = by_user.and_then(|by_user| by_user.get(to)).map(Vec::as_slice).unwrap_or_default();
        recipients.iter().filter(move |recipient| {
            *to != DeviceIdOrAllDevices::AllDevices
                || by_user.is_none_or(|by_user| {
                    !by_user.contains_key(&DeviceIdOrAllDevices::DeviceId(recipient.device.clone()))
                })
        })
    }
}

/// What one request may still write.
#[derive(Default)]
struct Budget {
    messages: usize,
    bytes: usize,
}

impl Budget {
    fn spend(&mut self, bytes: usize) -> Result<(), Error> {
        self.messages += 1;
        self.bytes += bytes;
        if self.messages > limits::TO_DEVICE_MESSAGES {
            return Err(too_many());
        }
        if self.bytes > limits::TO_DEVICE_SENT_BYTES {
            let (what, most) = ("what is sent to all devices together", limits::TO_DEVICE_SENT_BYTES);
            return Err(Refusal::TooLarge { what, most }.into());
        }
        Ok(())
    }
}

fn too_many() -> Error {
    Refusal::invalid(format!("a request has at most {} messages", limits::TO_DEVICE_MESSAGES)).into()
}

/// The event with `content`, whose bytes are taken as they came.
fn event(sending: Sending<'_>, content: &RawValue) -> Result<Vec<u8>, Error> {
    if !content.get().starts_with('{') {
        return Err(Refusal::BadJson { what: "the content of a message is no object".to_owned() }.into());
    }
    let event = Event { content, sender: sending.user, r#type: sending.kind };
    let json = serde_json::to_vec(&event).map_err(|error| Error::damaged(format!("writing a message: {error}")))?;
    if json.len() > limits::TO_DEVICE_BYTES {
        return Err(Refusal::TooLarge { what: "a message to a device", most: limits::TO_DEVICE_BYTES }.into());
    }
    Ok(json)
}

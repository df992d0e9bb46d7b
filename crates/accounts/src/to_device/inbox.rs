//! What waits for a device: reading it, and removing what it has.

use base::{Position, limits};
use ruma::{DeviceId, UserId};
use serde_json::value::RawValue;
use storage::table::TO_DEVICE;
use storage::{Batch, Direction, Key, KeyRange, Row};

use crate::accounts::Accounts;
use crate::error::Error;
use crate::keys::Number;

/// Messages to a device, oldest first.
#[derive(Debug, Default)]
pub struct Inbox {
    /// The messages: objects with `type`, `sender` and `content`.
    pub messages: Vec<Box<RawValue>>,
    /// The position up to which all messages are in [`Inbox::messages`]: to be asked from for the next ones, and to be
    /// acknowledged by a device that has these. It is the `until` asked for when nothing was left out.
    pub next: Position,
}

fn message_key(number: Number, position: Position) -> Key {
    Key::of(TO_DEVICE, &(number, position))
}

fn position_of(row: &Row) -> Result<Position, Error> {
    let parts = row.key.parts::<(Number, Position)>();
    Ok(parts.map_err(|error| Error::damaged(format!("a message to a device: {error}")))?.1)
}

fn message(row: &Row) -> Result<Box<RawValue>, Error> {
    serde_json::from_slice(&row.value).map_err(|error| Error::damaged(format!("a message to a device: {error}")))
}

impl Accounts {
    /// The messages for `device` that came after `since`, up to `until`, at most `limit`. Positions are those of the log's
    /// partition of `user`. Nothing is removed: that is [`Accounts::acknowledge_to_device`].
    ///
    /// # Errors
    /// As every read.
    pub async fn to_device(
        &self,
        user: &UserId,
        device: &DeviceId,
        [since, until]: [Position; 2],
        limit: usize,
    ) -> Result<Inbox, Error> {
        let mut inbox = Inbox { messages: Vec::new(), next: until };
        if since >= until {
            return Ok(inbox);
        }
        let Some((state, _)) = self.device_state(user, device).await? else { return Ok(inbox) };
        let number = state.number;
        let mut range = KeyRange::between(&message_key(number, since.next()), &message_key(number, until.next()));
        loop {
            let page = self.store().scan(&range, Direction::Forward, limit - inbox.messages.len()).await;
            let page = page.map_err(Error::storage("reading messages to a device"))?;
            for row in &page.rows {
                inbox.messages.push(message(row)?);
            }
            match page.rest {
                Some(_) if inbox.messages.len() >= limit => {
                    if let Some(last) = page.rows.last() {
                        inbox.next = position_of(last)?;
                    }
                    return Ok(inbox);
                }
                Some(rest) => range = rest,
                None => return Ok(inbox),
            }
        }
    }

    /// Removes the messages up to `until`, which the device has shown to have. The rows go without being waited for: they
    /// are never delivered again, as the device asks from there on.
    ///
    /// # Errors
    /// As every read.
    pub async fn acknowledge_to_device(&self, user: &UserId, device: &DeviceId, until: Position) -> Result<(), Error> {
        let Some((state, _)) = self.device_state(user, device).await? else { return Ok(()) };
        let number = state.number;
        let mut range = KeyRange::between(&message_key(number, Position::START), &message_key(number, until.next()));
        let (mut batch, mut messages, mut bytes) = (Batch::new(), 0, 0);
        // More than one page only for a device that shows at once to have read thousands. What is left then is looked at
        // again at the next acknowledgement.
        while messages < limits::LEFTOVERS_REMOVED {
            let page = self.store().scan(&range, Direction::Forward, limits::LEFTOVERS_REMOVED - messages).await;
            let page = page.map_err(Error::storage("reading messages that a device has"))?;
            messages += page.rows.len();
            for row in &page.rows {
                bytes += row.value.len();
                batch.delete(&row.key);
            }
            match page.rest {
                Some(rest) => range = rest,
                None => break,
            }
        }
        if batch.is_empty() {
            return Ok(());
        }
        self.inboxes.taken_out(number, messages, bytes);
        let store = self.store_handle();
        base::task::spawn(async move {
            // They are looked at again at the next acknowledgement.
            if let Err(error) = store.commit(batch).await {
                tracing::debug!(%error, "messages that a device has are still there");
            }
        });
        Ok(())
    }
}

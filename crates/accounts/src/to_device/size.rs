//! How full inboxes are. Counted when an inbox is first written to and kept in memory from then on: a row with a count would
//! be written by everybody who sends to the device, and they would all wait for each other.
//!
//! So the bound is not exact: requests that come at once may pass it together, and of several nodes each counts what it
//! wrote itself. It is there for inboxes that nobody empties, and holds for these to within a few messages.

use base::clock::Monotonic;
use base::collections::SeededState;
use base::limits;
use moka::sync::Cache;
use std::sync::{Arc, Mutex, PoisonError};
use storage::table::TO_DEVICE;
use storage::{Direction, Store};

use crate::error::Error;
use crate::keys::{Number, number_prefix};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Size {
    messages: u64,
    bytes: u64,
}

impl Size {
    fn is_full(self) -> bool {
        self.messages >= limits::TO_DEVICE_WAITING || self.bytes >= limits::TO_DEVICE_WAITING_BYTES
    }
}

struct Counted {
    size: Mutex<Size>,
    at: Monotonic,
}

/// The sizes that are known.
pub(crate) struct InboxSizes(Cache<Number, Arc<Counted>, SeededState>);

impl InboxSizes {
    pub(crate) fn new() -> Self {
        let builder = Cache::builder().max_capacity(limits::TO_DEVICE_SIZES);
        Self(builder.build_with_hasher(SeededState::default()))
    }

    /// Whether the inbox of `number` takes a message of so many `bytes`; if it does, the message counts from now on.
    pub(super) async fn takes(&self, store: &Store, number: Number, bytes: usize) -> Result<bool, Error> {
        let counted = match self.0.get(&number) {
            Some(counted) if !self.is_outdated(store, &counted) => counted,
            _ => {
                let size = count(store, number).await?;
                let counted = Arc::new(Counted { size: Mutex::new(size), at: store.clock().monotonic() });
                self.0.insert(number, Arc::clone(&counted));
                counted
            }
        };
        let mut size = counted.size.lock().unwrap_or_else(PoisonError::into_inner);
        if size.is_full() {
            return Ok(false);
        }
        size.messages += 1;
        size.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
        Ok(true)
    }

    /// Whether the inbox was found full so long ago that it is worth looking again.
    fn is_outdated(&self, store: &Store, counted: &Counted) -> bool {
        let full = counted.size.lock().unwrap_or_else(PoisonError::into_inner).is_full();
        full && store.clock().monotonic().since(counted.at) >= limits::TO_DEVICE_FULL_FOR
    }

    /// So many messages and bytes were taken out.
    pub(super) fn taken_out(&self, number: Number, messages: usize, bytes: usize) {
        if let Some(counted) = self.0.get(&number) {
            let mut size = counted.size.lock().unwrap_or_else(PoisonError::into_inner);
            size.messages = size.messages.saturating_sub(u64::try_from(messages).unwrap_or(u64::MAX));
            size.bytes = size.bytes.saturating_sub(u64::try_from(bytes).unwrap_or(u64::MAX));
        }
    }
}

/// Counts what waits, and stops when it is enough to be full. Usually there is nothing.
async fn count(store: &Store, number: Number) -> Result<Size, Error> {
    let (mut range, mut size) = (number_prefix(TO_DEVICE, number), Size::default());
    while !size.is_full() {
        let page = store.scan(&range, Direction::Forward, 1_000).await;
        let page = page.map_err(Error::storage("counting messages to a device"))?;
        size.messages += u64::try_from(page.rows.len()).unwrap_or(u64::MAX);
        size.bytes += page.rows.iter().map(|row| row.value.len() as u64).sum::<u64>();
        match page.rest {
            Some(rest) => range = rest,
            None => break,
        }
    }
    Ok(size)
}

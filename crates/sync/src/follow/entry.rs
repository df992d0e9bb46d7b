//! What a log entry says, as far as a client may have to learn of it. The kinds and payloads are their writers'.

use accounts::account_data::{ACCOUNT_DATA_CHANGED, AccountDataLog};
use accounts::keys::{DEVICE_LIST_CHANGED, KeyChange};
use accounts::to_device::{TO_DEVICE_SENT, ToDeviceLog};
use rooms::act::{ForgottenLog, ROOM_FORGOTTEN};
use rooms::append::{EVENT_ACCEPTED, LogRecord};
use rooms::notice::{RECEIPT_MOVED, ReceiptLog};
use storage::{LogEntry, Record};

use crate::error::Error;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// An event was accepted into a room.
    Event(LogRecord),
    /// A receipt moved.
    Receipt(ReceiptLog),
    /// Somebody forgot a room.
    Forgotten(ForgottenLog),
    /// Account data changed.
    AccountData(AccountDataLog),
    /// Messages came for devices.
    ToDevice(ToDeviceLog),
    /// Keys changed.
    Keys(KeyChange),
    /// Nothing that a client learns of.
    Other,
}

impl Entry {
    /// Reads an entry of the log.
    ///
    /// # Errors
    /// [`Error::Damaged`] when it is not what its kind says.
    pub(super) fn read(entry: &LogEntry) -> Result<Self, Error> {
        let LogEntry { kind, payload, position, .. } = entry;
        let damaged = |error| Error::damaged(format!("the log entry {position} of kind {}: {error}", kind.0));
        let read = match *kind {
            EVENT_ACCEPTED => LogRecord::decode(payload).map(Self::Event),
            RECEIPT_MOVED => ReceiptLog::decode(payload).map(Self::Receipt),
            ROOM_FORGOTTEN => ForgottenLog::decode(payload).map(Self::Forgotten),
            ACCOUNT_DATA_CHANGED => AccountDataLog::decode(payload).map(Self::AccountData),
            TO_DEVICE_SENT => ToDeviceLog::decode(payload).map(Self::ToDevice),
            DEVICE_LIST_CHANGED => KeyChange::decode(payload).map(Self::Keys),
            _ => Ok(Self::Other),
        };
        read.map_err(damaged)
    }
}

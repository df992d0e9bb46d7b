//! Receipts as clients are told of them (<https://spec.matrix.org/v1.19/client-server-api/#mreceipt>): all of a room, or those
//! that moved between two points of the log. Private ones are told to their own user only.

use base::{Position, limits};
use ruma::events::receipt::{Receipt, ReceiptEventContent, ReceiptThread, ReceiptType};
use ruma::{MilliSecondsSinceUnixEpoch, OwnedUserId, UInt, UserId};
use storage::{Direction, KeyRange, Record};

use crate::error::Error;
use crate::notice::ReceiptKind;
use crate::notice::receipt::{Mark, MarkMoved, Stored, moved_key, moved_of};
use crate::number::RoomNumber;
use crate::rooms::Rooms;

impl Rooms {
    /// The receipts of `room` that `viewer` may know of, up to a position of the room's partition. Of very many, those that
    /// moved last, and all of the viewer's own.
    ///
    /// # Errors
    /// As every read.
    pub async fn receipts(
        &self,
        room: RoomNumber,
        until: Position,
        viewer: &UserId,
    ) -> Result<ReceiptEventContent, Error> {
        self.receipts_since(room, [Position::START, until], viewer).await
    }

    /// The receipts of `room` that moved after `since`, up to and including `until` (positions of the room's partition), and
    /// that `viewer` may know of.
    ///
    /// # Errors
    /// As every read.
    pub async fn receipts_since(
        &self,
        room: RoomNumber,
        [since, until]: [Position; 2],
        viewer: &UserId,
    ) -> Result<ReceiptEventContent, Error> {
        let mut content = ReceiptEventContent(Default::default());
        let (start, end) = (moved_key(room, since.next()), moved_key(room, until.next()));
        let mut range = KeyRange::between(&start, &end);
        let mut left = limits::RECEIPTS_AT_ONCE;
        while left > 0 && !range.is_empty() {
            let page = self.store().scan(&range, Direction::Backward, left).await;
            let page = page.map_err(Error::storage("reading a room's receipts"))?;
            left = left.saturating_sub(page.rows.len());
            for row in page.rows {
                let moved = moved_of(&row.key)?;
                let MarkMoved { user, mark } = MarkMoved::decode(&row.value)
                    .map_err(|error| Error::damaged(format!("a receipt at {moved}: {error}")))?;
                add(&mut content, viewer, user, mark);
            }
            match page.rest {
                Some(rest) => range = rest,
                None => return Ok(content),
            }
        }
        for mark in Stored::of(self.store(), room, viewer).await?.marks {
            if since < mark.moved && mark.moved <= until {
                add(&mut content, viewer, viewer.to_owned(), mark);
            }
        }
        Ok(content)
    }
}

/// Adds a receipt. An event can hold one of each user and type; of several, the unthreaded one says the most
/// (<https://github.com/matrix-org/matrix-spec-proposals/pull/4102>).
fn add(content: &mut ReceiptEventContent, viewer: &UserId, user: OwnedUserId, mark: Mark) {
    let kind = match mark.kind {
        ReceiptKind::Private if user != viewer => return,
        ReceiptKind::Private => ReceiptType::ReadPrivate,
        ReceiptKind::Read => ReceiptType::Read,
    };
    let ts = UInt::try_from(mark.at.as_millis()).unwrap_or(UInt::MAX);
    let mut receipt = Receipt::new(MilliSecondsSinceUnixEpoch(ts));
    receipt.thread = mark.thread.to_ruma();
    let of_event = content.entry(mark.event).or_default().entry(kind).or_default();
    let slot = of_event.entry(user).or_insert_with(|| receipt.clone());
    if receipt.thread == ReceiptThread::Unthreaded {
        *slot = receipt;
    }
}

//! What the crash suites and the benchmark write: an event of a chat server as one batch of twelve rows, the mix that
//! `docs/crash-tests.md` describes. Everything in it follows from the producer and the number, so whoever finds an event
//! in the log can say what every row of it must be.

use base::{Partition, Position};
use bytes::{BufMut, Bytes};
use storage::table::TEST;
use storage::{Batch, Key, KeyWriter, Kind, Template};

/// The partition that every store has.
pub(crate) const P0: Partition = Partition(0);
/// The kind of the events' log entries.
pub(crate) const EVENT: Kind = Kind(7);
/// A body of the usual size.
pub(crate) const SMALL: u32 = 1_200;
/// An event removes the transaction row that its producer wrote so many events before.
const KEPT_TRANSACTIONS: u32 = 16;
/// Events of one producer before another run of it begins: the top bits number the run.
pub(crate) const RUN_BITS: u32 = 20;
const MEMBERS: u64 = 5;

/// One event, named by who wrote it and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Event {
    pub(crate) producer: u16,
    pub(crate) number: u32,
    pub(crate) body_bytes: u32,
}

impl Event {
    /// Random-looking but fixed: number `lane` of the event's stream.
    fn mix(self, lane: u64) -> u64 {
        let mut z = (u64::from(self.producer) << 32 | u64::from(self.number))
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .wrapping_add(lane.wrapping_mul(0xd1b5_4a32_d192_ed03));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// What the log entry says of the event: enough to make it again.
    pub(crate) fn payload(self) -> Bytes {
        let mut payload = Vec::with_capacity(10);
        payload.put_u16(self.producer);
        payload.put_u32(self.number);
        payload.put_u32(self.body_bytes);
        payload.into()
    }

    /// The event's id.
    pub(crate) fn id(self) -> [u8; 32] {
        let mut id = [0; 32];
        for (lane, chunk) in (10..).zip(id.chunks_exact_mut(8)) {
            chunk.copy_from_slice(&self.mix(lane).to_le_bytes());
        }
        id
    }

    /// The room: half the traffic goes to 20 rooms, the rest to 2,000.
    pub(crate) fn room(self) -> u32 {
        let draw = self.mix(1);
        let room = if draw & 1 == 0 { draw / 2 % 20 } else { 20 + draw / 2 % 2_000 };
        u32::try_from(room).unwrap_or_default()
    }

    /// Five members of the room, no two alike.
    pub(crate) fn users(self) -> [u32; 5] {
        let mut users = [0; 5];
        for (slot, user) in (0..MEMBERS).zip(&mut users) {
            *user = u32::try_from(self.mix(20 + slot) % 1_000 * MEMBERS + slot).unwrap_or_default();
        }
        users
    }

    fn transaction(self) -> [u8; 24] {
        let mut transaction = [0; 24];
        for (lane, chunk) in (30..).zip(transaction.chunks_exact_mut(8)) {
            chunk.copy_from_slice(&self.mix(lane).to_le_bytes());
        }
        transaction
    }

    /// Text of `length` bytes, as hard to compress as a signed event.
    fn text(self, lane: u64, length: u32) -> Vec<u8> {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let length = usize::try_from(length).unwrap_or_default();
        let mut text = Vec::with_capacity(length + 10);
        let mut lane = lane << 32;
        while text.len() < length {
            let bits = self.mix(lane);
            lane += 1;
            text.extend((0..10).map(|digit| ALPHABET[usize::try_from((bits >> (6 * digit)) & 63).unwrap()]));
        }
        text.truncate(length);
        text
    }

    /// The event itself.
    pub(crate) fn body(self) -> Vec<u8> {
        self.text(1, self.body_bytes)
    }

    fn delta(self) -> Vec<u8> {
        self.text(2, 120)
    }

    fn transaction_key(self) -> Key {
        Key::of(TEST, &(b't', self.transaction()))
    }

    fn forgotten(self) -> Option<Key> {
        let of_this_run = self.number & ((1 << RUN_BITS) - 1);
        let number = self.number.wrapping_sub(KEPT_TRANSACTIONS);
        (of_this_run >= KEPT_TRANSACTIONS).then(|| Self { number, ..self }.transaction_key())
    }

    /// The key of the event's body.
    pub(crate) fn body_key(self) -> Key {
        Key::of(TEST, &(b'e', self.id()))
    }

    /// The batch: eleven rows written, one removed, two of them required to be new.
    pub(crate) fn batch(self) -> Batch {
        let mut batch = Batch::new();
        let stamp = batch.append(P0, EVENT, self.payload());
        let stamped = |parts: (u8, u32)| KeyWriter::new(TEST).part(&parts).stamp(stamp).template();
        let (id, room) = (self.id(), self.room());
        let (body, transaction) = (self.body_key(), self.transaction_key());
        batch.put(&body, self.body());
        batch.put_template(stamped((b'r', room)), Template::plain(id.to_vec()));
        for user in self.users() {
            batch.put_template(stamped((b'u', user)), Template::plain(id[..8].to_vec()));
        }
        batch.put_template(stamped((b's', room)), Template::plain(self.delta()));
        batch.put(&transaction, id.to_vec());
        let counter = Key::of(TEST, &(b'c', room));
        batch.put_template(Template::plain(counter.to_bytes()), Template::with_stamp(self.payload(), stamp));
        if let Some(forgotten) = self.forgotten() {
            batch.delete(&forgotten);
        }
        batch.require_absent(&body);
        batch.require_absent(&transaction);
        batch
    }

    /// The rows that the batch comes to when its log entry got `position`; `None` for the one removed.
    pub(crate) fn rows(self, position: Position) -> Vec<(Key, Option<Bytes>)> {
        let (id, room) = (self.id(), self.room());
        let plain = |parts: (u8, u32, Position), value: Vec<u8>| (Key::of(TEST, &parts), Some(value.into()));
        let mut counter = self.payload().to_vec();
        counter.put_u64(position.0);
        let mut rows = vec![
            (self.body_key(), Some(self.body().into())),
            plain((b'r', room, position), id.to_vec()),
            plain((b's', room, position), self.delta()),
            (self.transaction_key(), Some(id.to_vec().into())),
            (Key::of(TEST, &(b'c', room)), Some(counter.into())),
        ];
        rows.extend(self.users().map(|user| plain((b'u', user, position), id[..8].to_vec())));
        rows.extend(self.forgotten().map(|key| (key, None)));
        rows
    }
}

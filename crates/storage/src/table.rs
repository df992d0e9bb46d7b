//! The catalogue of tables: every table's number, name and owner, in one place. A table that is not here cannot be
//! written; a number is never given twice, also not after its table is gone.
//!
//! To add a table: a constant and a line in [`CATALOGUE`]; what a row means is the owner's business.

/// The number of a table: the first byte of its rows' keys in an embedded engine, part of the table's name in SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableId(pub u8);

/// What the engine knows of its own data: format, store id, number of the last commit.
pub const META: TableId = TableId(1);
/// The last position of each partition of the log.
pub const HEAD: TableId = TableId(2);
/// The log: partition, position → kind and payload.
pub const LOG: TableId = TableId(3);
/// How far each reader has come: name, partition → position.
pub const CURSOR: TableId = TableId(4);
/// Log entries that a reader could not process: name, partition, position → why.
pub const QUARANTINE: TableId = TableId(5);
/// Who holds a lease until when: name → holder.
pub const LEASE: TableId = TableId(6);
/// The fencing number of a lease, changed only when the holder changes: name → number.
pub const FENCE: TableId = TableId(7);
/// Blobs on disk: content hash → size and number of references.
pub const BLOB: TableId = TableId(8);
/// Who refers to a blob: content hash, referrer → nothing.
pub const BLOB_REFERENCE: TableId = TableId(9);

/// Nodes of rooms' states: room, hash → node. 32 to 63 are the `rooms` crate's.
pub const STATE_NODE: TableId = TableId(32);
/// The numbers of what state is filed under: room, hash of type and state key → number.
pub const STATE_KEY: TableId = TableId(33);
/// What those numbers stand for: room, number → type and state key.
pub const STATE_KEY_NAME: TableId = TableId(34);
/// The numbers of rooms: hash of the room's id → number.
pub const ROOM: TableId = TableId(35);
/// Where rooms stand: room → extremities, state, counters.
pub const ROOM_HEAD: TableId = TableId(36);
/// The numbers of events: hash of the event's id, room → number.
pub const EVENT_NUMBER: TableId = TableId(37);
/// What the graph knows of events: room, event → facts.
pub const EVENT: TableId = TableId(38);
/// Events as they were signed: room, event → canonical JSON.
pub const EVENT_JSON: TableId = TableId(39);
/// Who follows whom: room, event, later event → nothing.
pub const EVENT_CHILD: TableId = TableId(40);
/// What state events lean on: room, event → base and what is beyond it.
pub const AUTH_CHAIN: TableId = TableId(41);
/// Which state events lean on one: room, event, state event → nothing.
pub const AUTH_CHILD: TableId = TableId(42);
/// Who is or was in a room: room, hash of user → membership.
pub const ROOM_MEMBER: TableId = TableId(43);
/// Where a user is or was: hash of user, room → membership.
pub const USER_ROOM: TableId = TableId(44);
/// What was sent under which transaction id: hash of sender's session and id → event.
pub const SENT: TableId = TableId(45);
/// What is shown of a room, in order: room, order → event and the room's state after it.
pub const ROOM_TIMELINE: TableId = TableId(46);
/// Where events stand in that order: room, event → order.
pub const EVENT_ORDER: TableId = TableId(47);
/// The key with which this server signs: which → name and secret.
pub const SIGNING_KEY: TableId = TableId(48);

/// Events that could not be worked on: digest → who, where, why. 49 to 52 are `rooms::ingest`'s.
pub const EVENT_SET_ASIDE: TableId = TableId(49);
/// Those events as they came: digest, part → bytes.
pub const EVENT_SET_ASIDE_JSON: TableId = TableId(50);
/// Events whose state was worked out from a room's partial state: room, event → nothing.
pub const PARTIAL_EVENT: TableId = TableId(51);
/// Rooms that are being joined through another server: hash of the room's id → its number, and who is in it.
pub const ROOM_ARRIVING: TableId = TableId(52);
/// Where aliases lead: hash of the alias → room and who gave it.
pub const ALIAS: TableId = TableId(53);
/// The aliases of a room, and which rooms are listed: which, room, hash of the alias → the alias, or nothing.
pub const ROOM_NAMED: TableId = TableId(54);
/// What users reported: when, which → report.
pub const REPORT: TableId = TableId(55);
/// Rooms of which something is still to be removed: room → nothing.
pub const ROOM_GONE: TableId = TableId(56);
/// What relates to events of a room, redactions that wait for their event, threads: room, which, event, … → see `rooms`.
pub const RELATION: TableId = TableId(57);
/// A room at a glance, by its state now: room, which → counts of members, card, keys of what is no membership.
pub const ROOM_CARD: TableId = TableId(58);
/// By what events are found: room, which, hash of a word or time, event or order → nothing.
pub const EVENT_FOUND_BY: TableId = TableId(59);
/// What users have read of a room: room, hash of user → their marks.
pub const RECEIPT: TableId = TableId(60);
/// The same marks by when they moved: room, position → mark.
pub const RECEIPT_ORDER: TableId = TableId(61);

/// Who has an account: hash of user → account. 64 to 95 are the `accounts` crate's.
pub const ACCOUNT: TableId = TableId(64);
/// The devices of users: hash of user, device → device and its tokens' hashes.
pub const DEVICE: TableId = TableId(65);
/// Whose a token is: hash of token → user and device.
pub const TOKEN: TableId = TableId(66);
/// When devices were last here: hash of user, device → time and address.
pub const DEVICE_SEEN: TableId = TableId(67);
/// What clients keep with accounts: hash of user, of room, of type → content and when it last changed.
pub const ACCOUNT_DATA: TableId = TableId(68);
/// The same in order of its changes: hash of user, position → hash of room, of type.
pub const ACCOUNT_DATA_ORDER: TableId = TableId(69);
/// What accounts may be made with: registration token → terms and uses.
pub const REGISTRATION_TOKEN: TableId = TableId(70);
/// Tokens for one purpose and a short time: expiry, hash of token → user and purpose.
pub const EXPIRING_TOKEN: TableId = TableId(71);
/// What users say of themselves: hash of user → fields.
pub const PROFILE: TableId = TableId(72);
/// Users by the words of their names: word, hash of user → user.
pub const DIRECTORY_NAME: TableId = TableId(73);
/// The filters of clients: hash of user, hash of filter → filter.
pub const FILTER: TableId = TableId(74);
/// Parts of account data that is too large for a row: hash of user, content, number → bytes.
pub const ACCOUNT_DATA_PART: TableId = TableId(75);
/// Where users are notified: hash of user, of the pusher's app and key → pusher.
pub const PUSHER: TableId = TableId(78);
/// Whose pushers have a key: hash of app and key, of user → user.
pub const PUSHER_OWNER: TableId = TableId(79);

/// What is known of devices' keys: hash of user, device → number, keys left of each algorithm.
pub const DEVICE_STATE: TableId = TableId(80);
/// The identity keys of devices: hash of user, device → signed JSON.
pub const DEVICE_KEYS: TableId = TableId(81);
/// The cross-signing keys of users: hash of user → signed JSON of each.
pub const CROSS_SIGNING: TableId = TableId(82);
/// One-time keys: device's number, algorithm, order → name and JSON.
pub const ONE_TIME_KEY: TableId = TableId(83);
/// Fallback keys: device's number, algorithm → name and JSON.
pub const FALLBACK_KEY: TableId = TableId(84);
/// What users signed of others: hash of signer, hash of signed user → signatures.
pub const USER_SIGNATURE: TableId = TableId(85);
/// Messages that wait for devices: device's number, position → JSON.
pub const TO_DEVICE: TableId = TableId(86);
/// What was sent to devices under which transaction id: day, hash of sender's session and id → nothing.
pub const TO_DEVICE_SENT: TableId = TableId(87);
/// Numbers whose rows are to be removed: number of a device or a backup → since when.
pub const LEFTOVER: TableId = TableId(88);
/// Whose keys changed: partition, position → user.
pub const KEY_CHANGE: TableId = TableId(89);
/// Versions of key backups: hash of user, version → description and counters.
pub const KEY_BACKUP: TableId = TableId(90);
/// Backed-up sessions: backup's number, hash of room, hash of session → JSON.
pub const KEY_BACKUP_SESSION: TableId = TableId(91);
/// Dehydrated devices: hash of user → device and what it is revived from.
pub const DEHYDRATED: TableId = TableId(92);

/// Pushers whose gateways do not take what they are sent: partition, hash of pusher → how far they were told.
pub const PUSH_BEHIND: TableId = TableId(104);
/// Media of this server: id → content and uploader. 112 to 119 are the `media` crate's.
pub const MEDIA: TableId = TableId(112);
/// Media that was created and not uploaded: hash of user, id → when.
pub const MEDIA_PENDING: TableId = TableId(113);
/// Thumbnails: content hash, size → content.
pub const THUMBNAIL: TableId = TableId(114);

/// One line of the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct TableEntry {
    /// The number; never reused.
    pub id: TableId,
    /// The name, for people and for SQL: lower case and underscores.
    pub name: &'static str,
    /// The crate that alone writes it.
    pub owner: &'static str,
    /// Whether only the engine itself writes it; a batch that tries is refused.
    pub engine_only: bool,
}

const fn entry(id: TableId, name: &'static str, owner: &'static str) -> TableEntry {
    TableEntry { id, name, owner, engine_only: false }
}

const fn engine_entry(id: TableId, name: &'static str) -> TableEntry {
    TableEntry { id, name, owner: "storage", engine_only: true }
}

/// Every table there is, in order of its number.
pub const CATALOGUE: &[TableEntry] = &[
    engine_entry(META, "meta"),
    engine_entry(HEAD, "head"),
    engine_entry(LOG, "log"),
    entry(CURSOR, "cursor", "storage"),
    entry(QUARANTINE, "quarantine", "storage"),
    entry(LEASE, "lease", "storage"),
    entry(FENCE, "fence", "storage"),
    entry(BLOB, "blob", "storage"),
    entry(BLOB_REFERENCE, "blob_reference", "storage"),
    entry(STATE_NODE, "state_node", "rooms"),
    entry(STATE_KEY, "state_key", "rooms"),
    entry(STATE_KEY_NAME, "state_key_name", "rooms"),
    entry(ROOM, "room", "rooms"),
    entry(ROOM_HEAD, "room_head", "rooms"),
    entry(EVENT_NUMBER, "event_number", "rooms"),
    entry(EVENT, "event", "rooms"),
    entry(EVENT_JSON, "event_json", "rooms"),
    entry(EVENT_CHILD, "event_child", "rooms"),
    entry(AUTH_CHAIN, "auth_chain", "rooms"),
    entry(AUTH_CHILD, "auth_child", "rooms"),
    entry(ROOM_MEMBER, "room_member", "rooms"),
    entry(USER_ROOM, "user_room", "rooms"),
    entry(SENT, "sent", "rooms"),
    entry(ROOM_TIMELINE, "room_timeline", "rooms"),
    entry(EVENT_ORDER, "event_order", "rooms"),
    entry(SIGNING_KEY, "signing_key", "rooms"),
    entry(EVENT_SET_ASIDE, "event_set_aside", "rooms"),
    entry(EVENT_SET_ASIDE_JSON, "event_set_aside_json", "rooms"),
    entry(PARTIAL_EVENT, "partial_event", "rooms"),
    entry(ROOM_ARRIVING, "room_arriving", "rooms"),
    entry(ALIAS, "alias", "rooms"),
    entry(ROOM_NAMED, "room_named", "rooms"),
    entry(REPORT, "report", "rooms"),
    entry(ROOM_GONE, "room_gone", "rooms"),
    entry(RELATION, "relation", "rooms"),
    entry(ROOM_CARD, "room_card", "rooms"),
    entry(EVENT_FOUND_BY, "event_found_by", "rooms"),
    entry(RECEIPT, "receipt", "rooms"),
    entry(RECEIPT_ORDER, "receipt_order", "rooms"),
    entry(ACCOUNT, "account", "accounts"),
    entry(DEVICE, "device", "accounts"),
    entry(TOKEN, "token", "accounts"),
    entry(DEVICE_SEEN, "device_seen", "accounts"),
    entry(ACCOUNT_DATA, "account_data", "accounts"),
    entry(ACCOUNT_DATA_ORDER, "account_data_order", "accounts"),
    entry(REGISTRATION_TOKEN, "registration_token", "accounts"),
    entry(EXPIRING_TOKEN, "expiring_token", "accounts"),
    entry(PROFILE, "profile", "accounts"),
    entry(DIRECTORY_NAME, "directory_name", "accounts"),
    entry(FILTER, "filter", "accounts"),
    entry(ACCOUNT_DATA_PART, "account_data_part", "accounts"),
    entry(PUSHER, "pusher", "accounts"),
    entry(PUSHER_OWNER, "pusher_owner", "accounts"),
    entry(DEVICE_STATE, "device_state", "accounts"),
    entry(DEVICE_KEYS, "device_keys", "accounts"),
    entry(CROSS_SIGNING, "cross_signing", "accounts"),
    entry(ONE_TIME_KEY, "one_time_key", "accounts"),
    entry(FALLBACK_KEY, "fallback_key", "accounts"),
    entry(USER_SIGNATURE, "user_signature", "accounts"),
    entry(TO_DEVICE, "to_device", "accounts"),
    entry(TO_DEVICE_SENT, "to_device_sent", "accounts"),
    entry(LEFTOVER, "leftover", "accounts"),
    entry(KEY_CHANGE, "key_change", "accounts"),
    entry(KEY_BACKUP, "key_backup", "accounts"),
    entry(KEY_BACKUP_SESSION, "key_backup_session", "accounts"),
    entry(DEHYDRATED, "dehydrated", "accounts"),
    entry(PUSH_BEHIND, "push_behind", "delivery"),
    entry(MEDIA, "media", "media"),
    entry(MEDIA_PENDING, "media_pending", "media"),
    entry(THUMBNAIL, "thumbnail", "media"),
];

/// Tables for the suites of this and other crates; no server ever writes them.
pub const TEST: TableId = TableId(255);

const TEST_ENTRY: TableEntry = entry(TEST, "test", "storage");

impl TableId {
    /// This table's line in the catalogue.
    pub fn entry(self) -> Option<&'static TableEntry> {
        if self == TEST {
            return Some(&TEST_ENTRY);
        }
        CATALOGUE.iter().find(|entry| entry.id == self)
    }
}

/// All tables, the suites' one included: what an engine makes room for.
pub fn all() -> impl Iterator<Item = &'static TableEntry> {
    CATALOGUE.iter().chain([&TEST_ENTRY])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_given_once_and_in_order() {
        let ids: Vec<TableId> = all().map(|entry| entry.id).collect();
        assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
        let mut names: Vec<&str> = all().map(|entry| entry.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ids.len());
    }

    #[test]
    fn names_are_fit_for_sql_and_owners_are_crates() {
        let crates = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        for entry in all() {
            assert!(entry.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{}", entry.name);
            assert!(std::path::Path::new(crates).join(entry.owner).is_dir(), "{} has no owner", entry.name);
        }
    }
}

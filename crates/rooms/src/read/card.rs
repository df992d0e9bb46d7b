//! A room at a glance: how many are in it, who stands for it, what it is called and how it may be entered. What lists of
//! rooms, spaces and summaries need of many rooms at once, kept with the state in the same batch, so that none of these ever
//! reads a state.
//!
//! Three rows a room: the counts change with memberships, the card with a few kinds of state, the keys with new ones.

use base::limits;
use roaring::RoaringBitmap;
use ruma::events::StateEventType;
use ruma::{OwnedRoomAliasId, OwnedRoomId, OwnedUserId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use storage::table::ROOM_CARD;
use storage::{Batch, Key, Record, Store};

use crate::append::{Changed, Membership, Moved, members};
use crate::error::Error;
use crate::event::Standing;
use crate::graph::{Graph, Pending};
use crate::number::{KeyNumber, RoomNumber};
use crate::read::visibility::HistoryVisibility;

const COUNTS: u8 = 0;
const CARD: u8 = 1;
const KEYS: u8 = 2;

/// How many are in a room, and who.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Joined members.
    pub joined: u64,
    /// Invited ones.
    pub invited: u64,
    /// Those who knocked.
    pub knocked: u64,
    /// Those who left, or were never in.
    pub left: u64,
    /// Banned ones.
    pub banned: u64,
    /// The first of those who are joined or invited, by when they came: one more than a client is told, because it is not
    /// told of itself (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3sync_response-200_roomsummary>).
    pub heroes: Vec<OwnedUserId>,
}

/// What a room's state says of it. Texts are cut at [`limits::CARD_TEXT_BYTES`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// Its name.
    pub name: Option<String>,
    /// Its topic.
    pub topic: Option<String>,
    /// The URL of its picture.
    pub avatar: Option<String>,
    /// Its main alias.
    pub alias: Option<OwnedRoomAliasId>,
    /// Its join rule; `None` stands for `invite`.
    pub join_rule: Option<String>,
    /// The rooms whose members may join, if the rule is a restricted one.
    pub allowed: Vec<OwnedRoomId>,
    /// Who may see its history.
    pub history: HistoryVisibility,
    /// Whether guests may join.
    pub guests: bool,
    /// Its type, as its create event says.
    pub room_type: Option<String>,
    /// The algorithm by which it is encrypted.
    pub encryption: Option<String>,
    /// The room that came in its place.
    pub replaced_by: Option<OwnedRoomId>,
}

/// The numbers of all keys but those of memberships that the room's state ever had.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OtherKeys(RoaringBitmap);

impl OtherKeys {
    /// The keys.
    pub fn iter(&self) -> impl Iterator<Item = KeyNumber> + '_ {
        self.0.iter().map(KeyNumber)
    }
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct KeysRecord(Vec<u8>);

storage::first_version!(Counts, Card, KeysRecord);

fn key(room: RoomNumber, which: u8) -> Key {
    Key::of(ROOM_CARD, &(room, which))
}

/// Counts and cards of `rooms`, in their order.
///
/// # Errors
/// As every read.
pub async fn cards(store: &Store, rooms: &[RoomNumber]) -> Result<Vec<(Counts, Card)>, Error> {
    let keys: Vec<Key> = rooms.iter().flat_map(|room| [key(*room, COUNTS), key(*room, CARD)]).collect();
    let rows = store.engine().get_many(&keys).await.map_err(Error::storage("reading rooms' cards"))?;
    let mut rows = rows.into_iter();
    let mut cards = Vec::with_capacity(rooms.len());
    for _ in rooms {
        let counts = rows.next().flatten().map(|row| decode(&row.value)).transpose()?.unwrap_or_default();
        let card = rows.next().flatten().map(|row| decode(&row.value)).transpose()?.unwrap_or_default();
        cards.push((counts, card));
    }
    Ok(cards)
}

/// How many are in each of `rooms`, in their order.
///
/// # Errors
/// As every read.
pub async fn counts(store: &Store, rooms: &[RoomNumber]) -> Result<Vec<Counts>, Error> {
    let keys: Vec<Key> = rooms.iter().map(|room| key(*room, COUNTS)).collect();
    let rows = store.engine().get_many(&keys).await.map_err(Error::storage("reading rooms' counts"))?;
    rows.into_iter().map(|row| row.map_or_else(|| Ok(Counts::default()), |row| decode(&row.value))).collect()
}

/// The keys of what is no membership.
///
/// # Errors
/// As every read.
pub async fn other_keys(store: &Store, room: RoomNumber) -> Result<OtherKeys, Error> {
    let row = store.get(&key(room, KEYS)).await.map_err(Error::storage("reading a room's keys"))?;
    let Some(row) = row else { return Ok(OtherKeys::default()) };
    let KeysRecord(bytes) = decode(&row.value)?;
    let keys = RoaringBitmap::deserialize_from(&*bytes);
    keys.map(OtherKeys).map_err(|error| Error::damaged(format!("the keys of a room's state: {error}")))
}

fn decode<R: Record>(value: &[u8]) -> Result<R, Error> {
    R::decode(value).map_err(|error| Error::damaged(format!("a room's card: {error}")))
}

/// Writes what `changes` of the state and `moved` members make of a room's rows. `pending` is the event that is
/// appended, if one is.
pub(crate) async fn put_changes(
    batch: &mut Batch,
    graph: &Graph<'_>,
    pending: Option<&Pending>,
    changes: &[Changed],
    moved: &[Moved],
) -> Result<(), Error> {
    put_counts(batch, graph, moved).await?;
    put_card(batch, graph, changes).await?;
    let pending = pending.filter(|pending| pending.facts.standing != Standing::Rejected);
    let pending = pending.and_then(|pending| pending.key.as_ref());
    let changed = changes.iter().map(|change| (&change.key, change.number));
    let others = changed.chain(pending.map(|(key, number)| (key, *number)));
    let others = others.filter(|(key, _)| key.kind != StateEventType::RoomMember);
    // Not within the call: what the closures borrow must not be held while rows are read, or the future is not `Send`.
    let others: Vec<KeyNumber> = others.map(|(_, number)| number).collect();
    put_keys(batch, graph, &others).await
}

async fn put_keys(batch: &mut Batch, graph: &Graph<'_>, keys: &[KeyNumber]) -> Result<(), Error> {
    if keys.is_empty() {
        return Ok(());
    }
    let OtherKeys(mut known) = other_keys(graph.store(), graph.room()).await?;
    // Not `any`, which would stop at the first.
    if keys.iter().filter(|key| known.insert(key.0)).count() > 0 {
        let mut bytes = Vec::with_capacity(known.serialized_size());
        known.serialize_into(&mut bytes).map_err(|error| Error::damaged(format!("a room's keys: {error}")))?;
        batch.put_record(&key(graph.room(), KEYS), &KeysRecord(bytes));
    }
    Ok(())
}

async fn put_counts(batch: &mut Batch, graph: &Graph<'_>, moved: &[Moved]) -> Result<(), Error> {
    if moved.iter().all(|moved| moved.was == moved.is) {
        return Ok(());
    }
    let row = key(graph.room(), COUNTS);
    let stored = graph.store().get_record::<Counts>(&row).await.map_err(Error::storage("reading a room's counts"))?;
    let mut counts = stored.map(|(counts, _)| counts).unwrap_or_default();
    let mut lost = false;
    for Moved { user, was, is } in moved {
        if let Some(count) = was.as_deref().and_then(|was| counts.of(was)) {
            *count = count.saturating_sub(1);
        }
        if let Some(count) = is.as_deref().and_then(|is| counts.of(is)) {
            *count += 1;
        }
        let (was_in, is_in) = (is_present(was.as_deref()), is_present(is.as_deref()));
        if is_in && !was_in && counts.heroes.len() < limits::CARD_HEROES && !counts.heroes.contains(user) {
            counts.heroes.push(user.clone());
        } else if was_in && !is_in {
            let before = counts.heroes.len();
            counts.heroes.retain(|hero| hero != user);
            lost |= counts.heroes.len() < before;
        }
    }
    let present = counts.joined.saturating_add(counts.invited);
    if lost && present > u64::try_from(counts.heroes.len()).unwrap_or(u64::MAX) {
        refill(graph, &mut counts.heroes, moved).await?;
    }
    batch.put_record(&row, &counts);
    Ok(())
}

impl Counts {
    fn of(&mut self, membership: &str) -> Option<&mut u64> {
        match membership {
            "join" => Some(&mut self.joined),
            "invite" => Some(&mut self.invited),
            "knock" => Some(&mut self.knocked),
            "leave" => Some(&mut self.left),
            "ban" => Some(&mut self.banned),
            _ => None,
        }
    }
}

fn is_present(membership: Option<&str>) -> bool {
    matches!(membership, Some("join" | "invite"))
}

/// Finds heroes in the place of one who went: the only time that all members are looked at.
async fn refill(graph: &Graph<'_>, heroes: &mut Vec<OwnedUserId>, moved: &[Moved]) -> Result<(), Error> {
    let mut present = members(graph.store(), graph.room()).await?;
    // The rows say what was before this batch.
    let stays = |member: &Membership| {
        let now = moved.iter().find(|moved| moved.user == member.user).map(|moved| moved.is.as_deref());
        is_present(now.unwrap_or(Some(&member.membership)))
    };
    present.retain(stays);
    present.sort_by_key(|member| member.event);
    for member in present {
        if heroes.len() >= limits::CARD_HEROES {
            break;
        }
        if !heroes.contains(&member.user) {
            heroes.push(member.user);
        }
    }
    Ok(())
}

async fn put_card(batch: &mut Batch, graph: &Graph<'_>, changes: &[Changed]) -> Result<(), Error> {
    let told: Vec<&Changed> = changes.iter().filter(|change| is_told(change)).collect();
    if told.is_empty() {
        return Ok(());
    }
    let row = key(graph.room(), CARD);
    let stored = graph.store().get_record::<Card>(&row).await.map_err(Error::storage("reading a room's card"))?;
    let before = stored.map(|(card, _)| card);
    let mut card = before.clone().unwrap_or_default();
    for change in told {
        let content = change.event.as_ref().map(|(_, known)| serde_json::from_str(known.pdu.content().get()));
        card.apply(&change.key.kind, &content.and_then(Result::ok).unwrap_or_default());
    }
    if before.as_ref() != Some(&card) {
        batch.put_record(&row, &card);
    }
    Ok(())
}

fn is_told(change: &Changed) -> bool {
    use StateEventType as Kind;
    let kinds = [
        Kind::RoomName,
        Kind::RoomTopic,
        Kind::RoomAvatar,
        Kind::RoomCanonicalAlias,
        Kind::RoomJoinRules,
        Kind::RoomHistoryVisibility,
        Kind::RoomGuestAccess,
        Kind::RoomCreate,
        Kind::RoomEncryption,
        Kind::RoomTombstone,
    ];
    change.key.key.is_empty() && kinds.contains(&change.key.kind)
}

impl Card {
    /// Takes over what the state under `kind` says now; null for nothing.
    fn apply(&mut self, kind: &StateEventType, content: &Value) {
        use StateEventType as Kind;
        let text = |field: &str| content.get(field).and_then(Value::as_str).filter(|text| !text.is_empty()).map(cut);
        match kind {
            Kind::RoomName => self.name = text("name"),
            Kind::RoomTopic => self.topic = text("topic"),
            Kind::RoomAvatar => self.avatar = text("url"),
            Kind::RoomCanonicalAlias => self.alias = text("alias").and_then(|alias| alias.try_into().ok()),
            Kind::RoomHistoryVisibility => self.history = HistoryVisibility::of(content),
            Kind::RoomGuestAccess => self.guests = text("guest_access").as_deref() == Some("can_join"),
            Kind::RoomCreate => self.room_type = text("type"),
            Kind::RoomEncryption => self.encryption = text("algorithm"),
            Kind::RoomTombstone => self.replaced_by = text("replacement_room").and_then(|room| room.try_into().ok()),
            Kind::RoomJoinRules => {
                self.join_rule = text("join_rule");
                let allow = content.get("allow").and_then(Value::as_array).into_iter().flatten();
                let allowed = allow.filter(|entry| entry.get("type") == Some(&Value::from("m.room_membership")));
                let rooms = allowed.filter_map(|entry| entry.get("room_id").and_then(Value::as_str)?.try_into().ok());
                self.allowed = rooms.take(limits::CARD_ALLOWED_ROOMS).collect();
            }
            _ => {}
        }
    }
}

/// As much of `text` as a card holds.
fn cut(text: &str) -> String {
    text.get(..text.floor_char_boundary(limits::CARD_TEXT_BYTES)).unwrap_or_default().to_owned()
}

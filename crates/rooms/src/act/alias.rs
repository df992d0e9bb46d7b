//! Names for rooms: who may give and take them, and that each leads to one room.
//! <https://spec.matrix.org/v1.19/client-server-api/#room-aliases>

use ruma::events::{StateEventType, TimelineEventType};
use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, OwnedRoomAliasId, OwnedRoomId, OwnedUserId, RoomAliasId, RoomId,
    RoomOrAliasId, UserId,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use storage::table::{ALIAS, ROOM_NAMED};
use storage::{Batch, Direction, Key, KeyRange, Record, Store};

use base::limits;

use crate::act::content;
use crate::act::power::{self, Powers};
use crate::append::memberships;
use crate::error::{Error, Refusal};
use crate::event::StateKey;
use crate::number::RoomNumber;
use crate::rooms::Rooms;

/// Where an alias leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AliasRecord {
    /// The alias.
    pub alias: OwnedRoomAliasId,
    /// The room, as this server counts.
    pub room: RoomNumber,
    /// The room.
    pub room_id: OwnedRoomId,
    /// Who gave it.
    pub creator: OwnedUserId,
}

impl AliasRecord {
    pub(super) fn new(alias: &RoomAliasId, room: RoomNumber, room_id: &RoomId, creator: &UserId) -> Self {
        Self { alias: alias.to_owned(), room, room_id: room_id.to_owned(), creator: creator.to_owned() }
    }
}

storage::first_version!(AliasRecord);

/// What [`ROOM_NAMED`] has of a room under its aliases; `directory` has the rest.
const OF_ALIASES: u8 = 0;

fn digest(alias: &RoomAliasId) -> [u8; 32] {
    Sha256::digest(alias.as_str()).into()
}

fn alias_key(alias: &RoomAliasId) -> Key {
    Key::of(ALIAS, &(digest(alias),))
}

fn of_room_key(room: RoomNumber, alias: &RoomAliasId) -> Key {
    Key::of(ROOM_NAMED, &(OF_ALIASES, room, digest(alias)))
}

/// Where `alias` leads.
///
/// # Errors
/// As every read.
pub async fn find_alias(store: &Store, alias: &RoomAliasId) -> Result<Option<AliasRecord>, Error> {
    let record = store.get_record(&alias_key(alias)).await.map_err(Error::storage("looking for an alias"))?;
    Ok(record.map(|(record, _)| record))
}

/// The aliases of this server that lead to `room`.
///
/// # Errors
/// As every read.
pub async fn aliases_of(store: &Store, room: RoomNumber) -> Result<Vec<AliasRecord>, Error> {
    let range = KeyRange::prefix(ROOM_NAMED, &(OF_ALIASES, room));
    let page = store.scan(&range, Direction::Forward, limits::ROOM_ALIASES).await;
    let rows = page.map_err(Error::storage("reading a room's aliases"))?.rows;
    let read = |value: &[u8]| AliasRecord::decode(value).map_err(|error| Error::damaged(format!("an alias: {error}")));
    rows.iter().map(|row| read(&row.value)).collect()
}

/// Gives a room an alias that leads nowhere yet, else the batch fails to commit.
pub(super) fn put(batch: &mut Batch, alias: &RoomAliasId, record: &AliasRecord) {
    batch.require_absent(&alias_key(alias));
    batch.put_record(&alias_key(alias), record);
    batch.put_record(&of_room_key(record.room, alias), record);
}

/// Takes an alias away.
fn remove(batch: &mut Batch, alias: &RoomAliasId, record: &AliasRecord) {
    batch.delete(&alias_key(alias));
    batch.delete(&of_room_key(record.room, alias));
}

/// Takes all aliases of a room away.
pub(super) async fn remove_all(store: &Store, batch: &mut Batch, room: RoomNumber) -> Result<(), Error> {
    aliases_of(store, room).await?.iter().for_each(|record| remove(batch, &record.alias, record));
    Ok(())
}

/// Makes the aliases of one room lead to another, if nobody changes them meanwhile.
pub(super) async fn move_all(
    store: &Store,
    batch: &mut Batch,
    from: RoomNumber,
    to: (RoomNumber, &RoomId),
) -> Result<(), Error> {
    for record in aliases_of(store, from).await? {
        let key = alias_key(&record.alias);
        let there = store.get(&key).await.map_err(Error::storage("looking for an alias"))?;
        batch.require_version(&key, there.map(|there| there.version));
        remove(batch, &record.alias, &record);
        let moved = AliasRecord { room: to.0, room_id: to.1.to_owned(), ..record };
        batch.put_record(&key, &moved);
        batch.put_record(&of_room_key(to.0, &moved.alias), &moved);
    }
    Ok(())
}

impl Rooms {
    /// The room that `room` stands for.
    ///
    /// # Errors
    /// [`Refusal::NoSuchAlias`], [`Refusal::NeedsFederation`] when the alias is of another server; as every read.
    pub async fn resolve_alias(&self, room: &RoomOrAliasId) -> Result<OwnedRoomId, Error> {
        let alias = match <&RoomId>::try_from(room) {
            Ok(id) => return Ok(id.to_owned()),
            Err(alias) => alias,
        };
        match find_alias(self.store(), alias).await? {
            Some(record) => Ok(record.room_id),
            None if alias.server_name() == self.server() => Err(Refusal::NoSuchAlias.into()),
            None => Err(Refusal::NeedsFederation.into()),
        }
    }

    /// Gives `room` the alias `alias`. Whoever is joined to a room may.
    ///
    /// # Errors
    /// [`Refusal::InvalidAlias`] when it is not of this server, [`Refusal::AliasTaken`], [`Refusal::NoSuchRoom`],
    /// [`Refusal::Forbidden`]; as every commit.
    pub async fn set_alias(&self, alias: &RoomAliasId, room: &RoomId, user: &UserId) -> Result<(), Error> {
        if alias.server_name() != self.server() {
            return Err(Refusal::InvalidAlias.into());
        }
        let number = self.number_of(room).await?;
        self.require_joined(number, user).await?;
        let mut batch = Batch::new();
        put(&mut batch, alias, &AliasRecord::new(alias, number, room, user));
        match self.store().commit(batch).await {
            Err(error) if error.is_conflict() => Err(Refusal::AliasTaken.into()),
            other => other.map(drop).map_err(Error::storage("giving a room an alias")),
        }
    }

    /// Takes an alias away. Whoever gave it may, whoever may set the room's canonical alias, and `admin`s of the server. If it
    /// is the room's canonical alias or an alternative, it is taken out of there too, where the user has the power.
    ///
    /// # Errors
    /// [`Refusal::NoSuchAlias`], [`Refusal::Forbidden`]; as every commit.
    pub async fn delete_alias(&self, alias: &RoomAliasId, user: &UserId, admin: bool) -> Result<(), Error> {
        let record = find_alias(self.store(), alias).await?.ok_or(Refusal::NoSuchAlias)?;
        let may_set = self.may_set(record.room, user, &TimelineEventType::RoomCanonicalAlias).await?;
        if record.creator != user && !may_set && !admin {
            let why = "aliases are deleted by who gave them or may set the canonical alias".to_owned();
            return Err(Refusal::Forbidden { why }.into());
        }
        let mut batch = Batch::new();
        remove(&mut batch, alias, &record);
        self.store().commit(batch).await.map_err(Error::storage("taking an alias away"))?;
        if may_set { self.forget_canonical(&record, user).await } else { Ok(()) }
    }

    /// Whether `user` is joined and has the power to set state of `kind`.
    pub(super) async fn may_set(
        &self,
        room: RoomNumber,
        user: &UserId,
        kind: &TimelineEventType,
    ) -> Result<bool, Error> {
        let there = memberships(self.store(), room, &[user]).await?.into_iter().flatten().next();
        if there.is_none_or(|there| there.membership != "join") {
            return Ok(false);
        }
        let state = self.entries(room, &power::keys()).await?;
        Ok(Powers::of(&state)?.may_set(user, kind)?)
    }

    /// Takes an alias that is gone out of the room's canonical aliases. That it was not possible harms nobody.
    async fn forget_canonical(&self, record: &AliasRecord, user: &UserId) -> Result<(), Error> {
        let key = StateKey::new(StateEventType::RoomCanonicalAlias, "");
        let state = self.entries(record.room, &[key]).await?;
        let Some(known) = state.iter().next() else { return Ok(()) };
        let mut content = content::read(known.pdu.content())?;
        let gone = |value: &CanonicalJsonValue| value.as_str() == Some(record.alias.as_str());
        let before = content.clone();
        content.retain(|name, value| !(name == "alias" && gone(value)));
        if let Some(CanonicalJsonValue::Array(others)) = content.get_mut("alt_aliases") {
            others.retain(|other| !gone(other));
        }
        if content == before {
            return Ok(());
        }
        let mut draft = super::create::state(user, TimelineEventType::RoomCanonicalAlias, "", content);
        match self.say(record.room, &mut draft, None).await {
            Err(Error::Refused(refusal)) => {
                tracing::debug!(%refusal, "a deleted alias stays in the room's canonical aliases");
                Ok(())
            }
            other => other.map(drop),
        }
    }

    /// Checks that the aliases that a canonical alias event adds to those before it lead to the room.
    /// <https://spec.matrix.org/v1.19/client-server-api/#mroomcanonical_alias>
    pub(super) async fn check_canonical(
        &self,
        room: RoomNumber,
        before: Option<&CanonicalJsonObject>,
        content: &CanonicalJsonObject,
    ) -> Result<(), Error> {
        let known = before.map(named).transpose().unwrap_or_default().unwrap_or_default();
        for alias in named(content)? {
            if known.contains(&alias) {
                continue;
            }
            let alias = RoomAliasId::parse(&alias).map_err(|_| Refusal::InvalidAlias)?;
            let leads = find_alias(self.store(), &alias).await?;
            if leads.is_none_or(|leads| leads.room != room) {
                return Err(Refusal::BadAlias.into());
            }
        }
        Ok(())
    }
}

/// The aliases that a canonical alias event names.
fn named(content: &CanonicalJsonObject) -> Result<Vec<String>, Refusal> {
    let malformed = || Refusal::malformed("aliases are strings");
    let text = |value: &CanonicalJsonValue| value.as_str().map(str::to_owned).ok_or_else(malformed);
    let mut all = Vec::new();
    match content.get("alias") {
        None | Some(CanonicalJsonValue::Null) => {}
        // No alias at all, as clients say it.
        Some(CanonicalJsonValue::String(alias)) if alias.is_empty() => {}
        Some(alias) => all.push(text(alias)?),
    }
    match content.get("alt_aliases") {
        None | Some(CanonicalJsonValue::Null) => {}
        Some(CanonicalJsonValue::Array(others)) => {
            for other in others {
                all.push(text(other)?);
            }
        }
        Some(_) => return Err(malformed()),
    }
    Ok(all)
}

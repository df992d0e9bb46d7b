//! Upgrades: another room, of another version, in the place of one. Both rooms' events, the aliases and the directory change in
//! one batch.
//! <https://spec.matrix.org/v1.19/client-server-api/#room-upgrades>

use base::limits;
use ruma::events::{StateEventType, TimelineEventType};
use ruma::{CanonicalJsonObject, CanonicalJsonValue, EventId, OwnedRoomId, OwnedUserId, RoomId, RoomVersionId, UserId};
use storage::{Batch, Staging};

use crate::act::content::{self, set};
use crate::act::create::{Beginning, Made, guard_tombstone, state};
use crate::act::preset::{integer, text};
use crate::act::profile::Profile;
use crate::act::{alias, directory, membership, say};
use crate::error::{Error, Refusal};
use crate::event::{AuthState, RoomVersion, StateKey};
use crate::number::RoomNumber;
use crate::rooms::Rooms;

/// State that says the same in the new room as in the old one, whoever says it.
const CARRIED: [StateEventType; 9] = [
    StateEventType::RoomJoinRules,
    StateEventType::RoomHistoryVisibility,
    StateEventType::RoomGuestAccess,
    StateEventType::RoomServerAcl,
    StateEventType::RoomEncryption,
    StateEventType::RoomName,
    StateEventType::RoomAvatar,
    StateEventType::RoomTopic,
    StateEventType::RoomCanonicalAlias,
];

/// An upgrade.
#[derive(Clone, Debug)]
pub struct Upgrade {
    /// Who does it.
    pub sender: OwnedUserId,
    /// The version of the new room.
    pub version: RoomVersionId,
    /// Who else is to be its creator, where the version has that.
    pub additional_creators: Vec<OwnedUserId>,
    /// How the sender presents themselves.
    pub profile: Profile,
}

/// What is known of the old room.
struct Old<'a> {
    number: RoomNumber,
    id: &'a RoomId,
    state: AuthState,
}

impl Rooms {
    /// Upgrades `room`; returns the new room.
    ///
    /// # Errors
    /// [`Refusal::UnsupportedVersion`], [`Refusal::NoSuchRoom`], [`Refusal::Forbidden`] when the sender may not end the room;
    /// as every append.
    pub async fn upgrade(&self, room: &RoomId, upgrade: &Upgrade) -> Result<OwnedRoomId, Error> {
        let version = RoomVersion::of(&upgrade.version)?;
        let number = self.number_of(room).await?;
        self.require_joined(number, &upgrade.sender).await?;
        for attempt in 0..limits::APPEND_ATTEMPTS {
            let staging = self.store().stage();
            let old = Old { number, id: room, state: self.carried(number).await? };
            let made = self.replace(&staging, &old, version, upgrade, attempt).await?;
            let mut batch = staging.finish();
            let mut others = Batch::new();
            alias::move_all(self.store(), &mut others, number, (made.number, &made.id)).await?;
            directory::move_listing(self.store(), &mut others, number, made.number).await?;
            batch.absorb(others);
            match self.store().commit(batch).await {
                Err(error) if error.is_conflict() => {}
                other => return other.map(|_| made.id).map_err(Error::storage("upgrading a room")),
            }
        }
        Err(Error::Busy { attempts: limits::APPEND_ATTEMPTS })
    }

    async fn carried(&self, room: RoomNumber) -> Result<AuthState, Error> {
        let kinds = CARRIED.into_iter().chain([StateEventType::RoomCreate, StateEventType::RoomPowerLevels]);
        let keys: Vec<StateKey> = kinds.map(|kind| StateKey::new(kind, "")).collect();
        let mut view = self.view(room).await?;
        view.entries(view.head.state, &keys).await
    }

    /// Gathers the new room and the end of the old one.
    async fn replace(
        &self,
        staging: &Staging,
        old: &Old<'_>,
        version: &'static RoomVersion,
        upgrade: &Upgrade,
        attempt: u32,
    ) -> Result<Made, Error> {
        let store = staging.store();
        let made = match self.new_room_id(version) {
            // The new room's id is known, so that the old room's last event can be named in it.
            Some(id) => {
                let last = say::say(store, self.signing_key(), old.number, &mut tombstone(upgrade, &id), None).await?;
                self.gather(store, beginning(old, version, upgrade, Some(&last))?, Some(id), attempt).await?
            }
            None => {
                // Asked before anything is made, because who may not end the room is told so.
                let may = self.may_set(old.number, &upgrade.sender, &TimelineEventType::RoomTombstone).await?;
                if !may {
                    let why = "upgrading a room takes the power to end it".to_owned();
                    return Err(Refusal::Forbidden { why }.into());
                }
                let made = self.gather(store, beginning(old, version, upgrade, None)?, None, attempt).await?;
                say::say(store, self.signing_key(), old.number, &mut tombstone(upgrade, &made.id), None).await?;
                made
            }
        };
        let levels = silenced(&old.state)?;
        let mut silence = state(&upgrade.sender, TimelineEventType::RoomPowerLevels, "", levels);
        match say::say(store, self.signing_key(), old.number, &mut silence, None).await {
            // As the specification has it: where possible.
            Err(Error::Refused(refusal)) => tracing::debug!(%refusal, "an upgraded room is not silenced"),
            other => drop(other?),
        }
        Ok(made)
    }
}

fn tombstone(upgrade: &Upgrade, to: &RoomId) -> crate::event::Draft {
    let mut content = text("body", "This room has been replaced");
    set(&mut content, "replacement_room", to.as_str());
    state(&upgrade.sender, TimelineEventType::RoomTombstone, "", content)
}

/// What the new room begins with.
fn beginning(
    old: &Old<'_>,
    version: &'static RoomVersion,
    upgrade: &Upgrade,
    last: Option<&EventId>,
) -> Result<Beginning, Error> {
    let sender = &upgrade.sender;
    let create = state(sender, TimelineEventType::RoomCreate, "", create_content(old, version, upgrade, last)?);
    let mut joined = text("membership", "join");
    upgrade.profile.put(&mut joined);
    let kept = levels(old, version, upgrade)?;
    let first = raised(&kept, version, sender);
    let mut rest = vec![membership::draft(sender, sender, joined)];
    rest.push(state(sender, TimelineEventType::RoomPowerLevels, "", first.clone()));
    for kind in &CARRIED {
        if let Some(known) = old.state.get(&kind.to_string(), "") {
            let content = content::read(known.pdu.content())?;
            // What was redacted says nothing.
            if !content.is_empty() {
                rest.push(state(sender, TimelineEventType::from(kind.to_string()), "", content));
            }
        }
    }
    if first != kept {
        rest.push(state(sender, TimelineEventType::RoomPowerLevels, "", kept));
    }
    Ok(Beginning { version, create, rest })
}

fn create_content(
    old: &Old<'_>,
    version: &RoomVersion,
    upgrade: &Upgrade,
    last: Option<&EventId>,
) -> Result<CanonicalJsonObject, Error> {
    let rules = &version.rules().authorization;
    let create = old.state.create().ok_or_else(|| Error::damaged("the room has no create event"))?;
    let mut content = content::read(create.pdu.content())?;
    content.retain(|name, _| matches!(name.as_str(), "type" | "m.federate"));
    set(&mut content, "room_version", version.id().as_str());
    if !rules.use_room_create_sender {
        set(&mut content, "creator", upgrade.sender.as_str());
    }
    let mut predecessor = text("room_id", old.id.as_str());
    if let Some(last) = last {
        set(&mut predecessor, "event_id", last.as_str());
    }
    content.insert("predecessor".to_owned(), CanonicalJsonValue::Object(predecessor));
    if rules.additional_room_creators && !upgrade.additional_creators.is_empty() {
        let creators = upgrade.additional_creators.iter().map(|user| CanonicalJsonValue::String(user.to_string()));
        content.insert("additional_creators".to_owned(), CanonicalJsonValue::Array(creators.collect()));
    }
    Ok(content)
}

/// The power levels that the new room will have: those of the old one, without who is a creator where that is power enough,
/// and with who was one where it no longer is.
fn levels(old: &Old<'_>, version: &RoomVersion, upgrade: &Upgrade) -> Result<CanonicalJsonObject, Error> {
    let rules = &version.rules().authorization;
    let mut levels = match old.state.get("m.room.power_levels", "") {
        Some(known) => content::read(known.pdu.content())?,
        None => CanonicalJsonObject::new(),
    };
    let powers = super::power::Powers::of(&old.state)?;
    let were_known = old
        .state
        .create()
        .is_some_and(|create| create.pdu.version().rules().authorization.explicitly_privilege_room_creators);
    let users = levels.entry("users".to_owned()).or_insert_with(|| CanonicalJsonObject::new().into());
    if let CanonicalJsonValue::Object(users) = users {
        if rules.explicitly_privilege_room_creators {
            let creator =
                |user: &str| upgrade.sender == user || upgrade.additional_creators.iter().any(|it| it == user);
            users.retain(|user, _| !creator(user));
        } else if were_known {
            users.extend(powers.creators().iter().map(|user| (user.to_string(), integer(100))));
        }
    }
    if rules.explicitly_privilege_room_creators {
        // What ended the old room is no measure for ending one whose creators stand above all levels.
        if let Some(CanonicalJsonValue::Object(events)) = levels.get_mut("events") {
            events.remove(&TimelineEventType::RoomTombstone.to_string());
        }
        guard_tombstone(&mut levels);
    }
    Ok(levels)
}

/// Levels by which `sender` can set all that is carried over.
fn raised(kept: &CanonicalJsonObject, version: &RoomVersion, sender: &UserId) -> CanonicalJsonObject {
    let mut levels = kept.clone();
    if version.rules().authorization.explicitly_privilege_room_creators {
        return levels;
    }
    let number = |value: &CanonicalJsonValue| value.as_integer().map(i64::from);
    let events = kept.get("events").and_then(CanonicalJsonValue::as_object);
    let of_events = events.into_iter().flat_map(|events| events.values().filter_map(number));
    let users = kept.get("users").and_then(CanonicalJsonValue::as_object);
    let of_users = users.into_iter().flat_map(|users| users.values().filter_map(number));
    let state_default = kept.get("state_default").and_then(number).unwrap_or(50);
    let needed = of_events.chain(of_users).chain([state_default, 100]).max().unwrap_or(100);
    let users = levels.entry("users".to_owned()).or_insert_with(|| CanonicalJsonObject::new().into());
    if let CanonicalJsonValue::Object(users) = users {
        users.insert(sender.to_string(), integer(needed));
    }
    levels
}

/// The old room's levels so that only who has some power still speaks or invites there.
fn silenced(old: &AuthState) -> Result<CanonicalJsonObject, Error> {
    let mut levels = match old.get("m.room.power_levels", "") {
        Some(known) => content::read(known.pdu.content())?,
        None => CanonicalJsonObject::new(),
    };
    let now = |levels: &CanonicalJsonObject, name: &str| {
        levels.get(name).and_then(CanonicalJsonValue::as_integer).map_or(0, i64::from)
    };
    let needed = now(&levels, "users_default").saturating_add(1).max(50);
    for name in ["events_default", "invite"] {
        let level = now(&levels, name).max(needed);
        levels.insert(name.to_owned(), integer(level));
    }
    Ok(levels)
}

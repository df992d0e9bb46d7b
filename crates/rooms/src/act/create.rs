//! Making a room: all that it begins with, its alias and its place in the directory are one batch. No crash leaves a room that
//! is only half there, and nobody sees one.
//! <https://spec.matrix.org/v1.19/client-server-api/#creation>

use std::collections::BTreeMap;
use std::time::Duration;

use base::limits;
use ruma::api::client::room::Visibility;
use ruma::api::client::room::create_room::v3::Request;
use ruma::events::TimelineEventType;
use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, OwnedRoomAliasId, OwnedRoomId, OwnedUserId, RoomAliasId, RoomId, UserId,
};
use storage::{Batch, Store};

use crate::act::alias::{self, AliasRecord};
use crate::act::content::{self, InitialState, set};
use crate::act::membership::{self, Change};
use crate::act::preset::{Preset, integer, text, topic};
use crate::act::profile::Profile;
use crate::act::{directory, say};
use crate::error::{Error, Refusal};
use crate::event::{Draft, Place, RoomVersion};
use crate::number::RoomNumber;
use crate::rooms::{EncryptionPolicy, Rooms};

/// The level that ending a room takes where rooms have creators.
pub(super) const TOMBSTONE: i64 = 150;

/// What the names of rooms are made of.
const LETTERS: &[u8; 52] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// How a room's messages are encrypted when the server decides it.
const ALGORITHM: &str = "m.megolm.v1.aes-sha2";

/// A room to be made.
#[derive(Clone, Debug)]
pub struct NewRoom {
    /// Who makes it.
    pub creator: OwnedUserId,
    /// What they ask for.
    pub request: Request,
    /// How the creator and those invited present themselves, as far as they are of this server.
    pub profiles: BTreeMap<OwnedUserId, Profile>,
}

impl NewRoom {
    /// The room that `creator` asks for.
    pub fn new(creator: impl Into<OwnedUserId>, request: Request) -> Self {
        Self { creator: creator.into(), request, profiles: BTreeMap::new() }
    }
}

/// A room that was gathered and not yet written.
pub(super) struct Made {
    pub(super) number: RoomNumber,
    pub(super) id: OwnedRoomId,
}

/// What a room begins with: its create event, and what is said after it, in order.
pub(super) struct Beginning {
    pub(super) version: &'static RoomVersion,
    pub(super) create: Draft,
    pub(super) rest: Vec<Draft>,
}

impl Rooms {
    /// Makes a room.
    ///
    /// # Errors
    /// [`Refusal::UnsupportedVersion`], [`Refusal::AliasTaken`], [`Refusal::InvalidAlias`], [`Refusal::Malformed`] when
    /// something asked for is not what it must be, [`Refusal::InvalidRoomState`] when the rules do not allow what the room
    /// would begin with, [`Refusal::TooLarge`] when that is too much; as every commit.
    pub async fn create(&self, new: &NewRoom) -> Result<OwnedRoomId, Error> {
        let alias = new.request.room_alias_name.as_deref().map(|name| self.local_alias(name)).transpose()?;
        for attempt in 0..limits::APPEND_ATTEMPTS {
            let beginning = self.beginning(new, alias.as_deref())?;
            let staging = self.store().stage();
            let id = self.new_room_id(beginning.version);
            let made = self.gather(staging.store(), beginning, id, attempt).await.map_err(invalid)?;
            match self.commit_room(new, alias.as_deref(), made, staging.finish()).await {
                Err(error) if error.is_conflict() => {}
                outcome => return outcome,
            }
            if let Some(alias) = &alias
                && alias::find_alias(self.store(), alias).await?.is_some()
            {
                return Err(Refusal::AliasTaken.into());
            }
        }
        Err(Error::Busy { attempts: limits::APPEND_ATTEMPTS })
    }

    async fn commit_room(
        &self,
        new: &NewRoom,
        alias: Option<&RoomAliasId>,
        made: Made,
        events: Batch,
    ) -> Result<OwnedRoomId, Error> {
        let mut batch = Batch::new();
        if let Some(alias) = alias {
            alias::put(&mut batch, alias, &AliasRecord::new(alias, made.number, &made.id, &new.creator));
        }
        if new.request.visibility == Visibility::Public {
            directory::put(&mut batch, made.number);
        }
        batch.absorb(events);
        match self.store().commit(batch).await {
            Err(storage::Error::TooLarge { .. }) => Err(Refusal::TooLarge.into()),
            other => other.map(|_| made.id).map_err(Error::storage("making a room")),
        }
    }

    /// Gathers a room's first events in `store`, which writes them later. Where the room is named by its create event, two that
    /// are alike and of one moment are one room; so each `attempt` is made in a moment of its own.
    pub(super) async fn gather(
        &self,
        store: &Store,
        beginning: Beginning,
        id: Option<OwnedRoomId>,
        attempt: u32,
    ) -> Result<Made, Error> {
        let Beginning { version, create, rest } = beginning;
        let at = store.clock().now().after(Duration::from_millis(attempt.into()));
        let place = Place { version, room_id: id, prev_events: Vec::new(), auth_events: Vec::new(), at };
        let (number, created) = say::begin(store, self.signing_key(), place, create).await?;
        for mut draft in rest {
            say::say(store, self.signing_key(), number, &mut draft, None).await?;
        }
        Ok(Made { number, id: created.pdu().room_id().to_owned() })
    }

    /// The id of a new room of `version`; `None` where its create event will tell.
    pub(super) fn new_room_id(&self, version: &RoomVersion) -> Option<OwnedRoomId> {
        (!version.has_hashed_room_id()).then(|| {
            let letters = self.store().random().bytes::<18>().map(|byte| LETTERS[usize::from(byte % 52)]);
            RoomId::parse(format!("!{}:{}", String::from_utf8_lossy(&letters), self.server())).ok()
        })?
    }

    fn beginning(&self, new: &NewRoom, alias: Option<&RoomAliasId>) -> Result<Beginning, Error> {
        let NewRoom { creator, request, .. } = new;
        let version = RoomVersion::of(request.room_version.as_ref().unwrap_or(&self.options().default_version))?;
        if !request.invite_3pid.is_empty() {
            return Err(Refusal::NoIdentityServer.into());
        }
        let preset = Preset::of(request.preset.as_ref(), &request.visibility);
        let invited = self.invited(new)?;
        let content = create_content(version, creator, request, if preset.trusts { &invited } else { &[] })?;
        let encrypts = self.encrypts(preset, request, &content);
        let create = state(creator, TimelineEventType::RoomCreate, "", content);
        let mut given = given(request)?;
        if given.len() + invited.len() > limits::ROOM_INITIAL_EVENTS {
            return Err(Refusal::TooLarge.into());
        }
        let mut rest = Vec::new();
        let mut joined = text("membership", "join");
        new.profiles.get(creator).cloned().unwrap_or_default().put(&mut joined);
        rest.push(membership::draft(creator, creator, joined));
        let levels = match take(&mut given, &TimelineEventType::RoomPowerLevels) {
            Some(levels) => levels.content,
            None => levels(version, preset, creator, &invited, request)?,
        };
        content::check(&TimelineEventType::RoomPowerLevels, Some(""), &levels)?;
        rest.push(state(creator, TimelineEventType::RoomPowerLevels, "", levels));
        if let Some(alias) = alias {
            rest.push(state(creator, TimelineEventType::RoomCanonicalAlias, "", text("alias", alias.as_str())));
        }
        let mut defaults = vec![
            (TimelineEventType::RoomJoinRules, text("join_rule", preset.join_rule)),
            (TimelineEventType::RoomHistoryVisibility, text("history_visibility", "shared")),
            (TimelineEventType::RoomGuestAccess, text("guest_access", preset.guests)),
        ];
        if encrypts {
            defaults.push((TimelineEventType::RoomEncryption, text("algorithm", ALGORITHM)));
        }
        defaults.retain(|(kind, _)| !given.iter().any(|given| given.kind == *kind && given.key.is_empty()));
        rest.extend(defaults.into_iter().map(|(kind, content)| state(creator, kind, "", content)));
        // An encryption without an algorithm is how the maker says that there is to be none.
        let unwanted = |given: &Given| given.kind == TimelineEventType::RoomEncryption && given.content.is_empty();
        if self.options().encryption == EncryptionPolicy::Required && given.iter().any(unwanted) {
            return Err(Refusal::EncryptionRequired.into());
        }
        for given in given.into_iter().filter(|given| !unwanted(given)) {
            content::check(&given.kind, Some(&given.key), &given.content)?;
            rest.push(state(creator, given.kind, &given.key, given.content));
        }
        if let Some(name) = &request.name {
            rest.push(state(creator, TimelineEventType::RoomName, "", text("name", name)));
        }
        if let Some(plain) = &request.topic {
            rest.push(state(creator, TimelineEventType::RoomTopic, "", topic(plain)));
        }
        for user in &invited {
            let mut change = membership::MembershipChange::new(&**creator, &**user, Change::Invite);
            change.is_direct = request.is_direct;
            change.profile = new.profiles.get(user).cloned().unwrap_or_default();
            rest.push(membership::draft(creator, user, change.content()));
        }
        Ok(Beginning { version, create, rest })
    }

    /// Those to be invited, each once. The creator is in the room anyway.
    fn invited(&self, new: &NewRoom) -> Result<Vec<OwnedUserId>, Refusal> {
        let mut invited: Vec<OwnedUserId> = Vec::new();
        for user in new.request.invite.iter().filter(|user| **user != new.creator) {
            if user.server_name() != self.server() {
                return Err(Refusal::NeedsFederation);
            }
            if !invited.contains(user) {
                invited.push(user.clone());
            }
        }
        Ok(invited)
    }

    /// Whether the server encrypts the room.
    fn encrypts(&self, preset: Preset, request: &Request, create: &CanonicalJsonObject) -> bool {
        match self.options().encryption {
            EncryptionPolicy::Required => true,
            // What has a type, as spaces have, is no place to talk.
            EncryptionPolicy::Default => {
                preset.is_private() && request.visibility == Visibility::Private && !create.contains_key("type")
            }
            EncryptionPolicy::Optional => false,
        }
    }

    /// `#name:server`, of this server.
    pub(super) fn local_alias(&self, name: &str) -> Result<OwnedRoomAliasId, Refusal> {
        if name.is_empty() || name.contains([':', '\0']) || name.contains(char::is_whitespace) {
            return Err(Refusal::InvalidAlias);
        }
        RoomAliasId::parse(format!("#{name}:{}", self.server())).map_err(|_| Refusal::InvalidAlias)
    }
}

/// What the rules refuse while a room is being made is a fault in what was asked for
/// (<https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3createroom>).
fn invalid(error: Error) -> Error {
    match error {
        Error::Refused(Refusal::Forbidden { why }) => Refusal::InvalidRoomState { why }.into(),
        other => other,
    }
}

/// A state event.
pub(super) fn state(sender: &UserId, kind: TimelineEventType, key: &str, content: CanonicalJsonObject) -> Draft {
    Draft { sender: sender.to_owned(), kind, state_key: Some(key.to_owned()), content, redacts: None }
}

/// State that the maker gives.
struct Given {
    kind: TimelineEventType,
    key: String,
    content: CanonicalJsonObject,
}

fn given(request: &Request) -> Result<Vec<Given>, Refusal> {
    let read = |raw: &serde_json::value::RawValue| {
        let state: InitialState = serde_json::from_str(raw.get())
            .map_err(|error| Refusal::malformed(format!("an event of initial_state: {error}")))?;
        Ok(Given { kind: state.kind, key: state.state_key, content: content::read(&state.content)? })
    };
    request.initial_state.iter().map(|raw| read(raw.json())).collect()
}

/// Takes the event of `kind` with an empty state key out of `given`.
fn take(given: &mut Vec<Given>, kind: &TimelineEventType) -> Option<Given> {
    let at = given.iter().position(|given| given.kind == *kind && given.key.is_empty())?;
    Some(given.remove(at))
}

fn create_content(
    version: &RoomVersion,
    creator: &UserId,
    request: &Request,
    trusted: &[OwnedUserId],
) -> Result<CanonicalJsonObject, Refusal> {
    let rules = &version.rules().authorization;
    let mut content = match &request.creation_content {
        Some(given) => content::read(given.json())?,
        None => CanonicalJsonObject::new(),
    };
    set(&mut content, "room_version", version.id().as_str());
    content.remove("creator");
    if !rules.use_room_create_sender {
        set(&mut content, "creator", creator.as_str());
    }
    if rules.additional_room_creators && !trusted.is_empty() {
        let also = content.entry("additional_creators".to_owned()).or_insert(CanonicalJsonValue::Array(Vec::new()));
        let CanonicalJsonValue::Array(also) = also else {
            return Err(Refusal::malformed("additional_creators must be an array"));
        };
        for user in trusted {
            let user = CanonicalJsonValue::String(user.to_string());
            if !also.contains(&user) {
                also.push(user);
            }
        }
    }
    Ok(content)
}

fn levels(
    version: &RoomVersion,
    preset: Preset,
    creator: &UserId,
    invited: &[OwnedUserId],
    request: &Request,
) -> Result<CanonicalJsonObject, Refusal> {
    let rules = &version.rules().authorization;
    let mut levels = preset.power_levels(rules, creator, invited);
    if let Some(given) = &request.power_level_content_override {
        levels.extend(content::read(given.json())?);
        if rules.explicitly_privilege_room_creators {
            guard_tombstone(&mut levels);
        }
    }
    Ok(levels)
}

/// Where rooms have creators, ending one takes more than `state_default`, unless the levels say what it takes.
pub(super) fn guard_tombstone(levels: &mut CanonicalJsonObject) {
    let state_default = levels.get("state_default").and_then(CanonicalJsonValue::as_integer).map_or(50, i64::from);
    let needed = TOMBSTONE.max(state_default.saturating_add(1));
    let events = levels.entry("events".to_owned()).or_insert_with(|| CanonicalJsonObject::new().into());
    if let CanonicalJsonValue::Object(events) = events {
        events.entry(TimelineEventType::RoomTombstone.to_string()).or_insert_with(|| integer(needed));
    }
}

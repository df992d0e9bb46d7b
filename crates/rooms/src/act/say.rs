//! Our own event, from what somebody wants to say to what is appended: put together by where the room stands, signed, and
//! judged as everybody's is. When somebody else is faster, all of it happens again.

use async_trait::async_trait;
use ruma::events::TimelineEventType;
use ruma::{CanonicalJsonValue, OwnedEventId};
use storage::Store;

use crate::act::power::Powers;
use crate::append::{Appended, Kept, Proposal, Propose, SentAs, View, append, append_with};
use crate::error::{Error, Refusal};
use crate::event::{
    AuthState, AuthorisedPdu, Draft, Known, Place, RoomVersion, SigningKey, authorise_own, build, draft_state_keys,
};
use crate::number::RoomNumber;
use crate::rooms::Rooms;

/// What is to be said.
pub(super) enum Words {
    /// This.
    Draft(Draft),
    /// Nothing: this event says it already.
    Said(Known),
}

/// Who finds the words for it. Asked again when the room has moved on.
#[async_trait]
pub(super) trait Speaker: Send {
    /// What to say to the room as it stands.
    ///
    /// # Errors
    /// A refusal, when it may not be said.
    async fn words(&mut self, view: &mut View<'_>) -> Result<Words, Error>;
}

/// Somebody who says the same whatever the room's state.
#[async_trait]
impl Speaker for Draft {
    async fn words(&mut self, _: &mut View<'_>) -> Result<Words, Error> {
        Ok(Words::Draft(self.clone()))
    }
}

struct Saying<'a> {
    key: &'a SigningKey,
    speaker: &'a mut dyn Speaker,
    sent_as: Option<SentAs>,
}

#[async_trait]
impl Propose for Saying<'_> {
    async fn propose(&mut self, view: &mut View<'_>) -> Result<Proposal, Error> {
        let (before, sent_as) = (view.head.state, self.sent_as.clone());
        let event = match self.speaker.words(view).await? {
            Words::Said(known) => Kept::There(known),
            Words::Draft(draft) => Kept::Authorised(spoken(self.key, view, draft).await?),
        };
        Ok(Proposal { event, before, sent_as })
    }
}

/// Builds, signs and judges `draft` on the room's state.
async fn spoken(key: &SigningKey, view: &mut View<'_>, draft: Draft) -> Result<AuthorisedPdu, Error> {
    if draft.kind == TimelineEventType::RoomCreate {
        return Err(Refusal::malformed("a room is created once").into());
    }
    let version = view.graph.version();
    let state = view.entries(view.head.state, &draft_state_keys(version, &draft)?).await?;
    if draft.kind == TimelineEventType::RoomPowerLevels {
        check_creators(&draft, &state)?;
    }
    let store = view.graph.store();
    let place = Place {
        version,
        room_id: Some(view.head.room_id.clone()),
        prev_events: view.extremities().await?,
        auth_events: leans_on(version, &state)?,
        at: store.clock().now(),
    };
    let event = build(draft, place, key, store.random())?;
    Ok(authorise_own(event, &state)?)
}

/// Where creators have power without being named, naming them is a mistake of who wrote the levels, not a lack of power
/// (<https://spec.matrix.org/v1.19/rooms/v12/#authorization-rules>).
fn check_creators(levels: &Draft, state: &AuthState) -> Result<(), Error> {
    let named = levels.content.get("users").and_then(CanonicalJsonValue::as_object);
    let (Some(named), Some(create)) = (named, state.create()) else { return Ok(()) };
    if !create.pdu.version().rules().authorization.explicitly_privilege_room_creators {
        return Ok(());
    }
    let powers = Powers::of(state)?;
    match powers.creators().iter().find(|creator| named.contains_key(creator.as_str())) {
        Some(creator) => Err(Refusal::malformed(format!("{creator} created the room and needs no level")).into()),
        None => Ok(()),
    }
}

/// The events that an event names as those that allow it: all that decide about it, but for the create event where the
/// room's id is its name.
fn leans_on(version: &RoomVersion, state: &AuthState) -> Result<Vec<crate::event::Reference>, Error> {
    let named = state.iter().filter(|known| !(version.has_hashed_room_id() && known.pdu.is_create()));
    Ok(named.map(|known| known.pdu.reference()).collect::<Result<_, _>>()?)
}

/// Makes a room of its create event; returns its number and that event.
///
/// # Errors
/// A refusal, when nobody may create such a room.
pub(super) async fn begin(
    store: &Store,
    key: &SigningKey,
    place: Place,
    draft: Draft,
) -> Result<(RoomNumber, AuthorisedPdu), Error> {
    let event = build(draft, place, key, store.random())?;
    let created = authorise_own(event, &AuthState::default())?;
    let room = crate::append::make_room(store, created.clone(), None).await?;
    Ok((room, created))
}

/// Says it in `room` of `store`, which may be one that gathers what becomes a single batch.
///
/// # Errors
/// What the speaker says; a refusal when the rules do not allow it; as every append.
pub(super) async fn say(
    store: &Store,
    key: &SigningKey,
    room: RoomNumber,
    speaker: &mut dyn Speaker,
    sent_as: Option<SentAs>,
) -> Result<OwnedEventId, Error> {
    match append(store, room, &mut Saying { key, speaker, sent_as }).await? {
        Appended::Now { id, .. } | Appended::Before { id } => Ok(id),
    }
}

impl Rooms {
    /// Says it in `room`.
    pub(super) async fn say(
        &self,
        room: RoomNumber,
        speaker: &mut dyn Speaker,
        sent_as: Option<SentAs>,
    ) -> Result<OwnedEventId, Error> {
        let mut saying = Saying { key: self.signing_key(), speaker, sent_as };
        let _lane = self.lane(room).lock().await;
        match append_with(self.store(), Some(self.cache()), room, &mut saying).await? {
            Appended::Now { id, .. } | Appended::Before { id } => Ok(id),
        }
    }
}

//! Saying something: a message or a state event, as a client sent it.
//! <https://spec.matrix.org/v1.19/client-server-api/#sending-events-to-a-room>

use async_trait::async_trait;
use ruma::events::TimelineEventType;
use ruma::{CanonicalJsonObject, CanonicalJsonValue, EventId, OwnedEventId, OwnedUserId, RoomId};

use crate::act::membership::Change;
use crate::act::redact::Redacting;
use crate::act::say::{Speaker, Words};
use crate::act::{MembershipChange, Profile};
use crate::act::{content, not_in};
use crate::append::{SentAs, View};
use crate::error::{Error, Refusal};
use crate::event::{Draft, StateKey};
use crate::rooms::Rooms;

/// What a client says.
#[derive(Clone, Debug)]
pub struct Saying {
    /// Who.
    pub sender: OwnedUserId,
    /// The event's type.
    pub kind: TimelineEventType,
    /// Its state key, for a state event.
    pub state_key: Option<String>,
    /// Its content.
    pub content: CanonicalJsonObject,
    /// The transaction id under which it came.
    pub sent_as: Option<SentAs>,
}

impl Rooms {
    /// Says something in `room`. A state event that says what the same sender has said already is not said again: the id of
    /// that one comes back. Memberships are changed as [`Rooms::set_membership`] does.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] when the sender may not, [`Refusal::Malformed`] and [`Refusal::TooLarge`] when the content is
    /// not what it must be, [`Refusal::NoSuchRoom`], [`Refusal::EncryptionRequired`]; as every append.
    pub async fn send(&self, room: &RoomId, saying: Saying) -> Result<OwnedEventId, Error> {
        // Whether there is such a room is nobody's business who is not in it.
        let number = self.number_of(room).await.map_err(not_in)?;
        if let Some(sent_as) = &saying.sent_as
            && let Some(id) = sent_as.event(self.store()).await?
        {
            return Ok(id);
        }
        content::check(&saying.kind, saying.state_key.as_deref(), &saying.content)?;
        if saying.kind == TimelineEventType::RoomMember && saying.state_key.is_some() {
            return self.set_membership(room, &by_event(saying)?).await;
        }
        let Saying { sender, kind, state_key, content, sent_as } = saying;
        let redacts = redacted(&kind, &content);
        let draft = Draft { sender, kind, state_key, content, redacts };
        if draft.kind == TimelineEventType::RoomRedaction && draft.state_key.is_none() {
            return self.say(number, &mut Redacting { draft, own: false }, sent_as).await;
        }
        self.say(number, &mut Once { rooms: self, draft }, sent_as).await
    }
}

/// A membership as a client wrote it itself.
fn by_event(saying: Saying) -> Result<MembershipChange, Refusal> {
    let Saying { sender, state_key, mut content, sent_as, .. } = saying;
    let malformed = |what: &str| Refusal::malformed(what.to_owned());
    let target = state_key.unwrap_or_default();
    let target = OwnedUserId::try_from(target).map_err(|_| malformed("a membership's state key is a user id"))?;
    let membership = content.remove("membership");
    let membership = membership.as_ref().and_then(CanonicalJsonValue::as_str);
    let change = Change::to(membership.ok_or_else(|| malformed("the content has no membership"))?, sender == target);
    let change = change.ok_or_else(|| malformed("there is no such membership"))?;
    let mut made = MembershipChange::new(sender, target, change);
    made.content = content;
    made.profile = Profile::default();
    made.sent_as = sent_as;
    Ok(made)
}

/// What a redaction redacts; its content says so in every version, as clients write it.
fn redacted(kind: &TimelineEventType, content: &CanonicalJsonObject) -> Option<OwnedEventId> {
    let redacts = content.get("redacts").filter(|_| *kind == TimelineEventType::RoomRedaction)?;
    EventId::parse(redacts.as_str()?).ok()
}

/// Says a state event only if it is not said already.
struct Once<'a> {
    rooms: &'a Rooms,
    draft: Draft,
}

#[async_trait]
impl Speaker for Once<'_> {
    async fn words(&mut self, view: &mut View<'_>) -> Result<Words, Error> {
        let draft = &self.draft;
        self.rooms.check_encryption(view, &draft.kind).await?;
        if let Some(key) = &draft.state_key {
            let filed = StateKey::new(draft.kind.to_string(), key.clone());
            let there = view.entries(view.head.state, &[filed]).await?;
            let there = there.iter().next();
            if draft.kind == TimelineEventType::RoomCanonicalAlias && key.is_empty() {
                let before = there.map(|known| content::read(known.pdu.content())).transpose()?;
                self.rooms.check_canonical(view.graph.room(), before.as_ref(), &draft.content).await?;
            }
            let there = there.filter(|known| known.pdu.sender() == draft.sender);
            if let Some(known) = there.filter(|known| content::is(known.pdu.content(), &draft.content)) {
                return Ok(Words::Said(known.clone()));
            }
        }
        Ok(Words::Draft(draft.clone()))
    }
}

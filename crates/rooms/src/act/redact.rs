//! Taking back what was said. What becomes of the event that is redacted, `append` does in the batch of the redaction.
//! <https://spec.matrix.org/v1.19/client-server-api/#redactions>

use async_trait::async_trait;
use ruma::events::TimelineEventType;
use ruma::{CanonicalJsonObject, EventId, OwnedEventId, RoomId, UserId};

use crate::act::content::set;
use crate::act::power;
use crate::act::say::{Speaker, Words};
use crate::append::{SentAs, View};
use crate::error::{Error, Refusal};
use crate::event::{Draft, may_redact_others};
use crate::rooms::Rooms;

impl Rooms {
    /// Redacts `target` of `room`; with `own`, only if the sender said it.
    ///
    /// # Errors
    /// [`Refusal::NoSuchEvent`] when the room has no such event, [`Refusal::Forbidden`] when it is somebody else's and the
    /// sender has not the power, [`Refusal::NoSuchRoom`]; as every append.
    pub async fn redact(
        &self,
        room: &RoomId,
        sender: &UserId,
        target: &EventId,
        reason: Option<&str>,
        own: bool,
        sent_as: Option<SentAs>,
    ) -> Result<OwnedEventId, Error> {
        let mut content = CanonicalJsonObject::new();
        if let Some(reason) = reason {
            set(&mut content, "reason", reason);
        }
        let draft = Draft {
            sender: sender.to_owned(),
            kind: TimelineEventType::RoomRedaction,
            state_key: None,
            content,
            redacts: Some(target.to_owned()),
        };
        let number = self.number_of(room).await?;
        if let Some(sent_as) = &sent_as
            && let Some(id) = sent_as.event(self.store()).await?
        {
            return Ok(id);
        }
        self.say(number, &mut Redacting { draft, own }, sent_as).await
    }
}

/// Says a redaction if its sender may. The authorisation rules let those of one server redact each other; among the users of
/// this server only power does.
pub(super) struct Redacting {
    pub(super) draft: Draft,
    /// Whether power does not count.
    pub(super) own: bool,
}

#[async_trait]
impl Speaker for Redacting {
    async fn words(&mut self, view: &mut View<'_>) -> Result<Words, Error> {
        let draft = &self.draft;
        let named = draft.redacts.clone().ok_or_else(|| Refusal::malformed("a redaction names an event"))?;
        let number = view.graph.numbers(std::slice::from_ref(&named)).await?.get(&named).copied();
        let number = number.ok_or(Refusal::NoSuchEvent)?;
        let target = view.graph.events(&[number]).await?.into_iter().next().flatten().ok_or(Refusal::NoSuchEvent)?;
        if target.pdu.is_create() {
            return Err(Refusal::Forbidden { why: "what creates a room cannot be redacted".to_owned() }.into());
        }
        if target.pdu.sender() != draft.sender {
            if self.own {
                return Err(Refusal::Forbidden { why: "it is somebody else's".to_owned() }.into());
            }
            let state = view.entries(view.head.state, &power::keys()).await?;
            may_redact_others(&draft.sender, &view.graph.version().rules().authorization, &state)?;
        }
        Ok(Words::Draft(draft.clone()))
    }
}

//! What an event names in what it says: the event that it redacts, and that to which it relates. Both get numbers when the
//! event does, known or not.

use ruma::OwnedEventId;
use ruma::events::TimelineEventType;

use crate::event::{Pdu, Standing};
use crate::graph::Numbering;
use crate::number::EventNumber;
use crate::read::relation::record::{Relation, relation};

/// The events that an accepted event names in what it says; others name none that matter.
pub(crate) struct Names<'a> {
    target: Option<&'a OwnedEventId>,
    relation: Option<Relation>,
}

/// The same by their numbers.
pub(crate) struct Named {
    /// What it redacts.
    pub(crate) target: Option<EventNumber>,
    /// What it relates to, and how.
    pub(crate) relates_to: Option<(EventNumber, String)>,
}

impl<'a> Names<'a> {
    /// What `pdu` names.
    pub(crate) fn of(pdu: &'a Pdu, standing: Standing) -> Self {
        if standing != Standing::Accepted {
            return Self { target: None, relation: None };
        }
        let target = pdu.owned_redacts().filter(|_| *pdu.kind() == TimelineEventType::RoomRedaction);
        Self { target, relation: relation(pdu.content().get()) }
    }

    /// The ids, for [`crate::graph::Graph::numbering`].
    pub(crate) fn ids(&self) -> Vec<OwnedEventId> {
        self.target.into_iter().chain(self.relation.as_ref().map(|relation| &relation.parent)).cloned().collect()
    }

    /// Gives them their numbers.
    pub(crate) fn numbered(self, numbering: &mut Numbering) -> Named {
        let target = self.target.map(|target| numbering.number(target));
        let relates_to = self.relation.map(|relation| (numbering.number(&relation.parent), relation.rel_type));
        Named { target, relates_to }
    }
}

//! An event from elsewhere as it is proposed to its room: judged by what it leans on, by the state before it, and by the
//! room's state now.

use async_trait::async_trait;
use ruma::OwnedEventId;

use crate::append::{Kept, Proposal, Propose, View};
use crate::error::{Error, Refusal};
use crate::event::{AuthState, Judged, Pdu, Standing, StateKey, VerifiedPdu, authorise};
use crate::graph::{Completeness, Place};
use crate::ingest::machine::{Placing, Source};
use crate::number::EventNumber;
use crate::resolve::resolve;
use crate::state::{Changes, StateRoot, load};

/// An event that came.
pub(super) struct Arriving {
    event: VerifiedPdu,
    placing: Placing,
    source: Source,
    /// Why the room's policy server does not want it, if so.
    unwanted: Option<String>,
    /// What it was last judged to be.
    pub(super) standing: Option<Standing>,
    /// Something that it follows or leans on is not there.
    pub(super) lacks: bool,
    /// It must be allowed: if it is not, nothing is appended.
    pub(super) must_be_allowed: bool,
    /// The state that it was given lacks members.
    pub(super) partial: Completeness,
}

impl Arriving {
    pub(super) fn new(event: VerifiedPdu, placing: Placing, source: Source, unwanted: Option<String>) -> Self {
        Self {
            event,
            placing,
            source,
            unwanted,
            standing: None,
            lacks: false,
            must_be_allowed: false,
            partial: Completeness::Complete,
        }
    }

    fn lacking(&mut self, what: &str) -> Error {
        self.lacks = true;
        Error::damaged(format!("{what} is not there"))
    }

    /// The state before the event.
    async fn before(&mut self, view: &mut View<'_>) -> Result<StateRoot, Error> {
        let graph = view.graph;
        let prev = self.event.pdu().prev_events().to_vec();
        let numbers: Vec<EventNumber> = graph.numbers(&prev).await?.into_values().collect();
        let mut states = Vec::with_capacity(numbers.len());
        for facts in graph.facts(&numbers).await?.into_iter().flatten() {
            if let Place::InGraph { after, .. } = facts.place {
                states.push(after);
            }
        }
        match self.placing.clone() {
            Placing::AfterState(ids) => {
                let given = self.given(view, &ids).await?;
                if self.source == Source::History {
                    return Ok(given);
                }
                states.push(given);
            }
            Placing::AfterPrev | Placing::Outlier if states.len() < prev.len() => {
                return Err(self.lacking("an event before it"));
            }
            Placing::AfterPrev | Placing::Outlier => {}
        }
        resolve(&graph, &mut view.nodes, &states).await
    }

    /// The state that these events are: those of them that nothing speaks against.
    async fn given(&mut self, view: &mut View<'_>, ids: &[OwnedEventId]) -> Result<StateRoot, Error> {
        let graph = view.graph;
        let numbers: Vec<EventNumber> = graph.numbers(ids).await?.into_values().collect();
        let facts = numbers.iter().zip(graph.facts(&numbers).await?);
        let filed = facts.filter_map(|(number, facts)| Some((*number, facts?)));
        let filed = filed.filter(|(_, facts)| facts.standing != Standing::Rejected);
        let changes: Changes = filed.filter_map(|(number, facts)| Some((facts.files?, Some(number)))).collect();
        let create = graph.key_numbers(&[StateKey::new("m.room.create", "")]).await?;
        if !create.into_iter().flatten().any(|key| changes.contains_key(&key)) {
            return Err(self.lacking("the create event of the state before it"));
        }
        load(graph.store(), &mut view.nodes, |nodes| nodes.apply(StateRoot::EMPTY, &changes)).await
    }

    /// The events that it leans on, with the create event also where that is not named.
    async fn leans_on(view: &View<'_>, pdu: &Pdu) -> Result<AuthState, Error> {
        let create = pdu.create_event_id().filter(|_| !pdu.is_create());
        let ids: Vec<OwnedEventId> = pdu.auth_events().iter().cloned().chain(create).collect();
        let numbers: Vec<EventNumber> = view.graph.numbers(&ids).await?.into_values().collect();
        Ok(AuthState::new(view.graph.events(&numbers).await?.into_iter().flatten()))
    }
}

#[async_trait]
impl Propose for Arriving {
    async fn propose(&mut self, view: &mut View<'_>) -> Result<Proposal, Error> {
        let before = self.before(view).await?;
        let pdu = self.event.pdu().clone();
        let leans_on = Self::leans_on(view, &pdu).await?;
        // Content for which no state is looked up is content that no rule allows.
        let no_state = |error| match error {
            Error::Refused(Refusal::Forbidden { .. }) => Ok(AuthState::default()),
            other => Err(other),
        };
        let mut by_before = view.deciding(before, &pdu).await.or_else(no_state)?;
        let mut by_now = match self.source {
            Source::Live => {
                let mut now = view.head.state;
                if matches!(self.placing, Placing::AfterState(_)) {
                    // What happened in the gap is not in the room's state yet, and has to count.
                    now = resolve(&view.graph, &mut view.nodes, &[now, before]).await?;
                }
                view.deciding(now, &pdu).await.or_else(no_state)?
            }
            // What is old is not judged by what is now.
            Source::History => by_before.clone(),
        };
        if view.head.completeness.is_partial() || self.partial.is_partial() {
            // Of members that are missing from the state, what the event leans on is believed until the state is whole.
            by_before = by_before.or_members_of(&leans_on);
            by_now = by_now.or_members_of(&leans_on);
        }
        let kept = match authorise(self.event.clone(), &leans_on, &by_before, &by_now) {
            Judged::Authorised(event) => match self.unwanted.clone() {
                Some(why) if event.soft_failed().is_none() => Kept::Authorised(event.soft_fail(why)),
                _ => Kept::Authorised(event),
            },
            Judged::Rejected(event) if self.must_be_allowed => {
                return Err(Refusal::Forbidden { why: event.why().to_owned() }.into());
            }
            Judged::Rejected(event) => Kept::Rejected(event),
            Judged::Need(_) => return Err(self.lacking("an event that it leans on")),
        };
        self.standing = Some(kept.standing());
        Ok(Proposal { event: kept, before, sent_as: None })
    }
}

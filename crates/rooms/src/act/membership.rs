//! Coming and going: join, knock, invite, leave, kick, ban, unban.
//! <https://spec.matrix.org/v1.19/client-server-api/#room-membership>

use async_trait::async_trait;
use ruma::events::{StateEventType, TimelineEventType};
use ruma::{CanonicalJsonObject, CanonicalJsonValue, OwnedEventId, OwnedUserId, RoomId};

use crate::act::content::{self, set};
use crate::act::not_in;
use crate::act::profile::Profile;
use crate::act::restricted;
use crate::act::say::{Speaker, Words};
use crate::append::{SentAs, View};
use crate::error::{Error, Refusal};
use crate::event::{AuthState, Draft, StateKey};
use crate::rooms::Rooms;

/// What becomes of somebody's membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// They join.
    Join,
    /// They ask to be let in.
    Knock,
    /// They leave, decline an invite or take a knock back.
    Leave,
    /// Somebody invites them.
    Invite,
    /// Somebody sends them away, takes an invite back or denies a knock.
    Kick,
    /// Somebody shuts them out.
    Ban,
    /// Somebody lifts a ban.
    Unban,
}

impl Change {
    /// What a member event with `membership` does; `own` when its sender is its subject. `None` for no membership.
    pub(super) fn to(membership: &str, own: bool) -> Option<Self> {
        Some(match (membership, own) {
            ("join", _) => Self::Join,
            ("knock", _) => Self::Knock,
            ("invite", _) => Self::Invite,
            ("ban", _) => Self::Ban,
            ("leave", true) => Self::Leave,
            // Which of the two, the room's state tells.
            ("leave", false) => Self::Kick,
            _ => return None,
        })
    }

    fn membership(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Knock => "knock",
            Self::Invite => "invite",
            Self::Leave | Self::Kick | Self::Unban => "leave",
            Self::Ban => "ban",
        }
    }

    /// Whether the event shows the profile of its subject.
    fn shows_profile(self) -> bool {
        matches!(self, Self::Join | Self::Knock | Self::Invite)
    }
}

/// A change of somebody's membership.
#[derive(Clone, Debug)]
pub struct MembershipChange {
    /// Who does it.
    pub sender: OwnedUserId,
    /// Whose membership.
    pub target: OwnedUserId,
    /// What becomes of it.
    pub change: Change,
    /// Why, in their words.
    pub reason: Option<String>,
    /// How the target presents themselves, if they are of this server.
    pub profile: Profile,
    /// Whether the target is a guest.
    pub guest: bool,
    /// Whether it is the invite to a direct chat.
    pub is_direct: bool,
    /// What else the client wants the content to say.
    pub content: CanonicalJsonObject,
    /// The transaction id under which it came.
    pub sent_as: Option<SentAs>,
}

impl MembershipChange {
    /// `change` of `target`'s membership by `sender`.
    pub fn new(sender: impl Into<OwnedUserId>, target: impl Into<OwnedUserId>, change: Change) -> Self {
        Self {
            sender: sender.into(),
            target: target.into(),
            change,
            reason: None,
            profile: Profile::default(),
            guest: false,
            is_direct: false,
            content: CanonicalJsonObject::new(),
            sent_as: None,
        }
    }

    /// The content of the member event.
    pub(super) fn content(&self) -> CanonicalJsonObject {
        let mut content = self.content.clone();
        content.retain(|name, _| !matches!(name.as_str(), "membership" | "join_authorised_via_users_server"));
        set(&mut content, "membership", self.change.membership());
        if let Some(reason) = &self.reason {
            set(&mut content, "reason", reason.clone());
        }
        if self.change.shows_profile() {
            self.profile.put(&mut content);
        }
        if self.is_direct && self.change == Change::Invite {
            content.insert("is_direct".to_owned(), CanonicalJsonValue::Bool(true));
        }
        content
    }
}

impl Rooms {
    /// Changes somebody's membership of `room`. Who joins where they are joined already, with nothing new to say, changes
    /// nothing: the id of their member event comes back.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] when the rules do not allow it, [`Refusal::GuestsForbidden`], [`Refusal::BadState`] when the
    /// target's membership is none that could be changed so, [`Refusal::NoSuchRoom`]; as every append.
    pub async fn set_membership(&self, room: &RoomId, change: &MembershipChange) -> Result<OwnedEventId, Error> {
        let number = match change.change {
            Change::Join | Change::Knock => self.number_of(room).await?,
            // Whether there is such a room is nobody's business who is not in it.
            _ => self.number_of(room).await.map_err(not_in)?,
        };
        let mut moving = Moving { rooms: self, change };
        self.say(number, &mut moving, change.sent_as.clone()).await
    }
}

struct Moving<'a> {
    rooms: &'a Rooms,
    change: &'a MembershipChange,
}

#[async_trait]
impl Speaker for Moving<'_> {
    async fn words(&mut self, view: &mut View<'_>) -> Result<Words, Error> {
        let change = self.change;
        let key = StateKey::new(StateEventType::RoomMember, change.target.as_str());
        let there = view.entries(view.head.state, &[key]).await?;
        let now = membership_in(&there);
        check_possible(change, now.as_deref())?;
        let mut content = change.content();
        if change.change == Change::Join {
            if change.guest {
                check_guest(view).await?;
            }
            if now.as_deref() != Some("join") {
                restricted::authorise_join(self.rooms, view, &change.target, now.as_deref(), &mut content).await?;
            }
        }
        if let Some(known) = there.iter().next()
            && known.pdu.sender() == change.sender
            && content::is(known.pdu.content(), &content)
        {
            return Ok(Words::Said(known.clone()));
        }
        Ok(Words::Draft(draft(&change.sender, &change.target, content)))
    }
}

/// A member event.
pub(super) fn draft(sender: &ruma::UserId, target: &ruma::UserId, content: CanonicalJsonObject) -> Draft {
    Draft {
        sender: sender.to_owned(),
        kind: TimelineEventType::RoomMember,
        state_key: Some(target.to_string()),
        content,
        redacts: None,
    }
}

/// What the one member event in `state` says.
pub(super) fn membership_in(state: &AuthState) -> Option<String> {
    content::field(state.iter().next()?.pdu.content(), "membership")
}

/// What the authorisation rules let pass and yet means nothing.
fn check_possible(change: &MembershipChange, now: Option<&str>) -> Result<(), Refusal> {
    let forbidden = |why: &str| Err(Refusal::Forbidden { why: why.to_owned() });
    match (change.change, now) {
        (Change::Leave, None) => forbidden("who leaves must have been in the room, invited or knocking"),
        (Change::Kick, None | Some("leave")) => forbidden("who is kicked must be in the room, invited or knocking"),
        (Change::Unban, Some("ban")) => Ok(()),
        (Change::Unban, _) => Err(Refusal::BadState { what: "the user is not banned" }),
        (Change::Invite, Some("ban")) => forbidden("the user is banned"),
        _ => Ok(()),
    }
}

/// <https://spec.matrix.org/v1.19/client-server-api/#guest-access>
async fn check_guest(view: &mut View<'_>) -> Result<(), Error> {
    let key = StateKey::new(StateEventType::RoomGuestAccess, "");
    let access = view.entries(view.head.state, &[key]).await?;
    let access: Option<String> =
        access.iter().next().and_then(|known| content::field(known.pdu.content(), "guest_access"));
    if access.as_deref() == Some("can_join") { Ok(()) } else { Err(Refusal::GuestsForbidden.into()) }
}

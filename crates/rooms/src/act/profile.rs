//! How people present themselves in rooms: the profile of a member event, and its change in all rooms where somebody is.

use async_trait::async_trait;
use ruma::events::StateEventType;
use ruma::{CanonicalJsonObject, CanonicalJsonValue, UserId};

use crate::act::content;
use crate::act::membership;
use crate::act::say::{Speaker, Words};
use crate::append::{View, rooms_of_user};
use crate::error::{Error, Refusal};
use crate::event::StateKey;
use crate::rooms::Rooms;

/// What a member event says of its user (<https://spec.matrix.org/v1.19/client-server-api/#mroommember>).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// The name to show.
    pub displayname: Option<String>,
    /// The picture to show, as an `mxc:` URI.
    pub avatar_url: Option<String>,
}

impl Profile {
    /// Writes it into the content of a member event.
    pub(super) fn put(&self, content: &mut CanonicalJsonObject) {
        let fields = [("displayname", &self.displayname), ("avatar_url", &self.avatar_url)];
        for (name, value) in fields {
            if let Some(value) = value {
                content.insert(name.to_owned(), CanonicalJsonValue::String(value.clone()));
            }
        }
    }
}

impl Rooms {
    /// Shows a new profile of `user` in all rooms where they are joined
    /// (<https://spec.matrix.org/v1.19/client-server-api/#events-on-change-of-profile-information>). A room that does not let
    /// them is passed over. Where the profile is shown already nothing is sent, so that it may be called again.
    ///
    /// # Errors
    /// As every append, of the first room where it fails; the rooms before it have the profile.
    pub async fn update_profile(&self, user: &UserId, profile: &Profile) -> Result<(), Error> {
        let joined = rooms_of_user(self.store(), user).await?.into_iter().filter(|there| there.membership == "join");
        for there in joined {
            match self.say(there.room, &mut Showing { user, profile }, None).await {
                Err(Error::Refused(refusal)) => tracing::debug!(%refusal, "a room does not show the new profile"),
                other => drop(other?),
            }
        }
        Ok(())
    }
}

struct Showing<'a> {
    user: &'a UserId,
    profile: &'a Profile,
}

#[async_trait]
impl Speaker for Showing<'_> {
    async fn words(&mut self, view: &mut View<'_>) -> Result<Words, Error> {
        let key = StateKey::new(StateEventType::RoomMember, self.user.as_str());
        let there = view.entries(view.head.state, &[key]).await?;
        let joined = there.iter().find(|_| membership::membership_in(&there).as_deref() == Some("join"));
        let left = || Refusal::Forbidden { why: "the user is not in the room any more".to_owned() };
        let known = joined.ok_or_else(left)?;
        let before = content::read(known.pdu.content())?;
        let mut content = before.clone();
        content.retain(|name, _| {
            !matches!(name.as_str(), "displayname" | "avatar_url" | "join_authorised_via_users_server" | "reason")
        });
        self.profile.put(&mut content);
        let shown = ["displayname", "avatar_url"].iter().all(|name| before.get(*name) == content.get(*name));
        if shown {
            return Ok(Words::Said(known.clone()));
        }
        Ok(Words::Draft(membership::draft(self.user, self.user, content)))
    }
}

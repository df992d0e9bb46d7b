//! Invites to a mail address or telephone number, taken up: an identity server has signed whose it is, and the room's event says
//! whose signature counts. The server that has the room turns that into an invite, and the invite into a join.
//! <https://spec.matrix.org/v1.19/client-server-api/#third-party-invites>

use async_trait::async_trait;
use ruma::api::client::membership::ThirdPartySigned;
use ruma::events::StateEventType;
use ruma::{CanonicalJsonObject, CanonicalJsonValue, OwnedEventId, RoomId};

use crate::act::content::{self, set};
use crate::act::membership::{self, Change, MembershipChange};
use crate::act::say::{Speaker, Words};
use crate::append::View;
use crate::error::{Error, Refusal};
use crate::event::StateKey;
use crate::rooms::Rooms;

impl Rooms {
    /// Joins `room` as `change` says, taking up the invite that `signed` proves. The invite is sent in the name of who sent it,
    /// who must be in the room still and of this server.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] when the proof is not good, or not for this user, [`Refusal::NeedsFederation`] when who invited is
    /// of another server; as [`Rooms::set_membership`].
    pub async fn join_invited(
        &self,
        room: &RoomId,
        signed: &ThirdPartySigned,
        change: &MembershipChange,
    ) -> Result<OwnedEventId, Error> {
        let forbidden = |why: &str| Refusal::Forbidden { why: why.to_owned() };
        if change.change != Change::Join || signed.mxid != change.target {
            return Err(forbidden("the signed invite is somebody else's").into());
        }
        let number = self.number_of(room).await?;
        let member = StateKey::new(StateEventType::RoomMember, change.target.as_str());
        let there = self.entries(number, &[member]).await?;
        // Who is in or invited already needs no proof.
        if !matches!(membership::membership_in(&there).as_deref(), Some("join" | "invite")) {
            if signed.sender.server_name() != self.server() {
                return Err(Refusal::NeedsFederation.into());
            }
            self.say(number, &mut Inviting { signed }, None).await?;
        }
        self.set_membership(room, change).await
    }
}

struct Inviting<'a> {
    signed: &'a ThirdPartySigned,
}

#[async_trait]
impl Speaker for Inviting<'_> {
    async fn words(&mut self, view: &mut View<'_>) -> Result<Words, Error> {
        let signed = self.signed;
        let key = StateKey::new(StateEventType::RoomThirdPartyInvite, signed.token.as_str());
        let invited = view.entries(view.head.state, &[key]).await?;
        let invited = invited.iter().next().map(|known| content::field(known.pdu.content(), "display_name"));
        let Some(shown) = invited else {
            let why = "the room knows no such invite".to_owned();
            return Err(Refusal::Forbidden { why }.into());
        };
        let proof = serde_json::to_value(&signed.signatures).ok().and_then(|value| value.try_into().ok());
        let mut proven = CanonicalJsonObject::new();
        set(&mut proven, "mxid", signed.mxid.as_str());
        set(&mut proven, "token", signed.token.as_str());
        proven.insert("signatures".to_owned(), proof.ok_or_else(|| Refusal::malformed("the signatures"))?);
        let shown: Option<String> = shown;
        let mut invite = CanonicalJsonObject::from([("signed".to_owned(), CanonicalJsonValue::Object(proven))]);
        set(&mut invite, "display_name", shown.unwrap_or_default());
        let mut content = CanonicalJsonObject::new();
        set(&mut content, "membership", "invite");
        content.insert("third_party_invite".to_owned(), CanonicalJsonValue::Object(invite));
        Ok(Words::Draft(membership::draft(&signed.sender, &signed.mxid, content)))
    }
}

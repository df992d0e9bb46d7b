//! Joining where the members of other rooms may: the join names a member of this server who could have invited, because no
//! other server need know who is in those rooms.
//! <https://spec.matrix.org/v1.19/client-server-api/#restricted-rooms>

use std::cmp::Reverse;

use ruma::events::StateEventType;
use ruma::{CanonicalJsonObject, OwnedUserId, RoomId, UserId};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::act::content::set;
use crate::act::power::Powers;
use crate::append::{Membership, View, members, memberships};
use crate::error::{Error, Refusal};
use crate::event::{AuthState, StateKey};
use crate::graph::find_room;
use crate::rooms::Rooms;

#[derive(Deserialize)]
struct JoinRules<'a> {
    join_rule: Option<String>,
    #[serde(borrow)]
    allow: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct Allow {
    #[serde(rename = "type")]
    kind: String,
    room_id: Option<String>,
}

const VIA: &str = "join_authorised_via_users_server";

/// Names in `content`, which is of `user`'s join, who could have invited them, where the room's rule asks for that.
///
/// # Errors
/// [`Refusal::Forbidden`] when the user is in none of the rooms that the rule names; [`Refusal::UnableToGrantJoin`] when
/// nobody of this server could have invited them.
pub(super) async fn authorise_join(
    rooms: &Rooms,
    view: &mut View<'_>,
    user: &UserId,
    now: Option<&str>,
    content: &mut CanonicalJsonObject,
) -> Result<(), Error> {
    let rules = &view.graph.version().rules().authorization;
    let keys = [StateEventType::RoomJoinRules, StateEventType::RoomPowerLevels, StateEventType::RoomCreate];
    let state = view.entries(view.head.state, &keys.map(|kind| StateKey::new(kind, ""))).await?;
    let Some(join_rules) = state.get("m.room.join_rules", "") else { return Ok(()) };
    let Ok(join_rules) = serde_json::from_str::<JoinRules<'_>>(join_rules.pdu.content().get()) else { return Ok(()) };
    let asked = match join_rules.join_rule.as_deref() {
        Some("restricted") => rules.restricted_join_rule,
        Some("knock_restricted") => rules.knock_restricted_join_rule,
        _ => false,
    };
    // Who is invited needs nobody else; who is banned is refused by the rules themselves.
    if !asked || matches!(now, Some("invite" | "ban")) {
        return Ok(());
    }
    if !is_in_one(rooms, user, join_rules.allow.unwrap_or_default()).await? {
        let why = "the user is in none of the rooms whose members may join".to_owned();
        return Err(Refusal::Forbidden { why }.into());
    }
    let host = inviter(rooms, view, &state).await?.ok_or(Refusal::UnableToGrantJoin)?;
    set(content, VIA, host.to_string());
    Ok(())
}

/// Whether `user` is joined to a room that `allow` names and this server is in.
async fn is_in_one(rooms: &Rooms, user: &UserId, allow: Vec<&RawValue>) -> Result<bool, Error> {
    // What is no such condition is passed over, as the specification says.
    let named = allow.into_iter().filter_map(|allow| serde_json::from_str::<Allow>(allow.get()).ok());
    let named = named.filter(|allow| allow.kind == "m.room_membership").filter_map(|allow| allow.room_id);
    for room_id in named.take(base::limits::RESTRICTED_ROOMS) {
        let Ok(room_id) = <&RoomId>::try_from(room_id.as_str()) else { continue };
        let Some(room) = find_room(rooms.store(), room_id).await? else { continue };
        let there = memberships(rooms.store(), room, &[user]).await?;
        if there.into_iter().flatten().any(|there| there.membership == "join") {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Somebody of this server who is in the room and may invite. Whoever has the greatest power, so that the answer is the same
/// every time.
async fn inviter(rooms: &Rooms, view: &View<'_>, state: &AuthState) -> Result<Option<OwnedUserId>, Error> {
    let powers = Powers::of(state)?;
    let needed = powers.to_invite()?;
    let mut best = None;
    let local = members(rooms.store(), view.graph.room())
        .await?
        .into_iter()
        .filter(|member: &Membership| member.membership == "join" && member.user.server_name() == rooms.server());
    for member in local {
        let found = (powers.level(&member.user)?, Reverse(member.user));
        if found.0 >= needed && best.as_ref().is_none_or(|best| found > *best) {
            best = Some(found);
        }
    }
    Ok(best.map(|(_, Reverse(user))| user))
}

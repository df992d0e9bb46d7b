//! Joining where the members of other rooms may: the join names a member of this server who could have invited, because no
//! other server need know who is in those rooms.
//! <https://spec.matrix.org/v1.19/client-server-api/#restricted-rooms>

use ruma::events::StateEventType;
use ruma::state_res::events::{RoomCreateEvent, RoomPowerLevelsEvent, RoomPowerLevelsIntField};
use ruma::{CanonicalJsonObject, OwnedUserId, RoomId, UserId};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::act::content::set;
use crate::append::{Membership, View, members, memberships};
use crate::error::{Error, Refusal};
use crate::event::{AuthState, Known, StateKey};
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
    let rules = &view.graph.version().rules().authorization;
    let forbidden = |why: String| Refusal::Forbidden { why };
    let create = state.create().ok_or_else(|| Error::damaged("the room has no create event"))?;
    let creators = RoomCreateEvent::new(create).creators(rules).map_err(forbidden)?;
    let levels = state.get("m.room.power_levels", "").map(RoomPowerLevelsEvent::<&Known>::new);
    let needed = match &levels {
        Some(levels) => levels.get_as_int_or_default(RoomPowerLevelsIntField::Invite, rules).map_err(forbidden)?,
        None => RoomPowerLevelsIntField::Invite.default_value(),
    };
    let mut best = None;
    let local = members(rooms.store(), view.graph.room())
        .await?
        .into_iter()
        .filter(|member: &Membership| member.membership == "join" && member.user.server_name() == rooms.server());
    for member in local {
        let is_creator = creators.contains(&member.user);
        let level = match &levels {
            _ if is_creator && rules.explicitly_privilege_room_creators => ruma::Int::MAX,
            Some(levels) => levels.user_power_level(&member.user, rules).map_err(forbidden)?,
            None => ruma::Int::from(if is_creator { 100 } else { 0 }),
        };
        let found = (level, std::cmp::Reverse(member.user));
        if level >= needed && best.as_ref().is_none_or(|best| found > *best) {
            best = Some(found);
        }
    }
    Ok(best.map(|(_, std::cmp::Reverse(user))| user))
}

//! How rooms look from outside, to those who may look
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1room_summaryroomidoralias>).

use std::collections::BTreeSet;

use base::limits;
use ruma::room::{JoinRuleSummary, RestrictedSummary, RoomSummary};
use ruma::{OwnedMxcUri, OwnedRoomId, OwnedServerName, RoomId, RoomOrAliasId, UInt, UserId};

use crate::append::{Membership, members, memberships, rooms_of_user};
use crate::error::{Error, Refusal};
use crate::graph::{find_room, heads_of};
use crate::number::RoomNumber;
use crate::read::card::{Card, Counts, cards};
use crate::read::visibility::HistoryVisibility;
use crate::rooms::Rooms;

/// A room from outside.
#[derive(Clone, Debug)]
pub struct Outside {
    /// Its number.
    pub room: RoomNumber,
    /// What is told of it.
    pub summary: RoomSummary,
    /// The room that came in its place.
    pub replaced_by: Option<OwnedRoomId>,
    may: Entrance,
}

/// How somebody who is not in a room may enter it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Entrance {
    /// Anybody may look.
    Open,
    /// Those in one of these rooms may.
    Through(Vec<OwnedRoomId>),
    /// Nobody may.
    Closed,
}

/// What a user is to rooms, as far as it decides what they may look at.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// The rooms they are joined or invited to, or where they knock.
    of: BTreeSet<RoomNumber>,
    /// The rooms they are joined to.
    joined: BTreeSet<RoomNumber>,
}

impl Rooms {
    /// How `rooms` look from outside, in their order, without those that are not known.
    ///
    /// # Errors
    /// As every read.
    pub async fn outsides(&self, rooms: &[RoomNumber]) -> Result<Vec<Outside>, Error> {
        let heads = heads_of(self.store(), rooms).await?;
        let cards = cards(self.store(), rooms).await?;
        let known = rooms.iter().zip(heads).zip(cards);
        let outside = known.filter_map(|((room, head), (counts, card))| {
            let head = head?;
            let replaced_by = card.replaced_by.clone();
            let may = entrance(&card);
            let mut summary = summary(head.room_id, &counts, card);
            summary.room_version = Some(head.version);
            Some(Outside { room: *room, summary, replaced_by, may })
        });
        Ok(outside.collect())
    }

    /// What `user` is to rooms.
    ///
    /// # Errors
    /// As every read.
    pub async fn standing(&self, user: &UserId) -> Result<Standing, Error> {
        let mut standing = Standing::default();
        for Membership { room, membership, .. } in rooms_of_user(self.store(), user).await? {
            match membership.as_str() {
                "join" => {
                    standing.joined.insert(room);
                    standing.of.insert(room);
                }
                "invite" | "knock" => {
                    standing.of.insert(room);
                }
                _ => {}
            }
        }
        Ok(standing)
    }

    /// Whether somebody of this standing (`None`: without an account) may look at a room from outside: they are in it, or
    /// invited, or may join or knock, or everybody may read it.
    ///
    /// # Errors
    /// As every read.
    pub async fn may_look(&self, standing: Option<&Standing>, outside: &Outside) -> Result<bool, Error> {
        if outside.may == Entrance::Open || standing.is_some_and(|standing| standing.of.contains(&outside.room)) {
            return Ok(true);
        }
        let (Entrance::Through(allowed), Some(standing)) = (&outside.may, standing) else { return Ok(false) };
        for room in allowed {
            if find_room(self.store(), room).await?.is_some_and(|room| standing.joined.contains(&room)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// How a room looks from outside to `user` (`None`: somebody without an account), and what they are to it.
    ///
    /// # Errors
    /// [`Refusal::NoSuchRoom`], also when they may not look; as every read.
    pub async fn summary(
        &self,
        room: &RoomOrAliasId,
        user: Option<&UserId>,
    ) -> Result<(RoomSummary, Option<String>), Error> {
        let room = match <&RoomId>::try_from(room) {
            Ok(room) => find_room(self.store(), room).await?,
            Err(alias) => self.alias(alias).await?.map(|alias| alias.room),
        };
        let outside = self.outsides(&[room.ok_or(Refusal::NoSuchRoom)?]).await?.pop().ok_or(Refusal::NoSuchRoom)?;
        let standing = match user {
            Some(user) => Some(self.standing(user).await?),
            None => None,
        };
        if !self.may_look(standing.as_ref(), &outside).await? {
            return Err(Refusal::NoSuchRoom.into());
        }
        let membership = match user {
            Some(user) => Some(self.membership_of(outside.room, user).await?.unwrap_or_else(|| "leave".to_owned())),
            None => None,
        };
        Ok((outside.summary, membership))
    }

    /// Servers through which `room` can be joined: this one first, then those of some who are in it.
    ///
    /// # Errors
    /// As every read.
    pub async fn servers_of(&self, room: RoomNumber) -> Result<Vec<OwnedServerName>, Error> {
        let mut servers = vec![self.server().to_owned()];
        let joined = members(self.store(), room).await?;
        for member in joined.iter().filter(|member| member.membership == "join") {
            if servers.len() >= limits::SERVERS_OF_ROOM {
                break;
            }
            if !servers.iter().any(|server| server == member.user.server_name()) {
                servers.push(member.user.server_name().to_owned());
            }
        }
        Ok(servers)
    }

    /// The rooms to which both users are joined.
    ///
    /// # Errors
    /// As every read.
    pub async fn mutual_rooms(&self, user: &UserId, other: &UserId) -> Result<Vec<OwnedRoomId>, Error> {
        let mine: BTreeSet<RoomNumber> = self.standing(user).await?.joined;
        let both: Vec<RoomNumber> = self.standing(other).await?.joined.intersection(&mine).copied().collect();
        self.room_ids(&both).await
    }

    /// The rooms to which `user` is joined.
    ///
    /// # Errors
    /// As every read.
    pub async fn joined_rooms(&self, user: &UserId) -> Result<Vec<OwnedRoomId>, Error> {
        let joined: Vec<RoomNumber> = self.standing(user).await?.joined.into_iter().collect();
        self.room_ids(&joined).await
    }

    async fn room_ids(&self, rooms: &[RoomNumber]) -> Result<Vec<OwnedRoomId>, Error> {
        let heads = heads_of(self.store(), rooms).await?;
        let mut ids: Vec<OwnedRoomId> = heads.into_iter().flatten().map(|head| head.room_id).collect();
        ids.sort();
        Ok(ids)
    }

    /// What `user` is to `room`, by name.
    ///
    /// # Errors
    /// As every read.
    pub async fn membership_of(&self, room: RoomNumber, user: &UserId) -> Result<Option<String>, Error> {
        let found = memberships(self.store(), room, &[user]).await?.into_iter().next().flatten();
        Ok(found.map(|membership| membership.membership))
    }
}

fn entrance(card: &Card) -> Entrance {
    if card.history == HistoryVisibility::WorldReadable {
        return Entrance::Open;
    }
    match card.join_rule.as_deref() {
        Some("public" | "knock" | "knock_restricted") => Entrance::Open,
        Some("restricted") => Entrance::Through(card.allowed.clone()),
        _ => Entrance::Closed,
    }
}

fn summary(room_id: OwnedRoomId, counts: &Counts, card: Card) -> RoomSummary {
    let allowed = RestrictedSummary::new(card.allowed);
    let join_rule = match card.join_rule.as_deref() {
        Some("public") => JoinRuleSummary::Public,
        Some("knock") => JoinRuleSummary::Knock,
        Some("private") => JoinRuleSummary::Private,
        Some("restricted") => JoinRuleSummary::Restricted(allowed),
        Some("knock_restricted") => JoinRuleSummary::KnockRestricted(allowed),
        _ => JoinRuleSummary::Invite,
    };
    let joined = UInt::try_from(counts.joined).unwrap_or(UInt::MAX);
    let world_readable = card.history == HistoryVisibility::WorldReadable;
    let mut summary = RoomSummary::new(room_id, join_rule, card.guests, joined, world_readable);
    summary.canonical_alias = card.alias;
    summary.name = card.name;
    summary.topic = card.topic;
    summary.avatar_url = card.avatar.map(OwnedMxcUri::from);
    summary.room_type = card.room_type.map(Into::into);
    summary.encryption = card.encryption.map(Into::into);
    summary
}

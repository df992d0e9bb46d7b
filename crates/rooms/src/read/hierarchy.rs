//! The rooms of a space, and of the spaces in it, depth first
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidhierarchy>).
//!
//! Nothing is kept between pages: a token says how many rooms were told, and the walk begins anew. It costs little, because
//! rooms are known by their cards; and what is told is what is there now.

use std::collections::BTreeSet;

use base::limits;
use ruma::events::StateEventType;
use ruma::room::RoomSummary;
use ruma::{OwnedRoomId, RoomId, UserId};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::{Error, Refusal};
use crate::graph::find_room;
use crate::number::KeyNumber;
use crate::read::card::other_keys;
use crate::read::fields::{Fields, content_of};
use crate::read::reading::Reading;
use crate::read::render::written;
use crate::read::summary::{Outside, Standing};
use crate::rooms::Rooms;

/// What of a space is asked for.
#[derive(Clone, Copy, Debug)]
pub struct HierarchyQuery<'a> {
    /// Only children that are suggested.
    pub suggested_only: bool,
    /// How many spaces may lie between.
    pub max_depth: Option<u64>,
    /// Most rooms.
    pub limit: Option<u64>,
    /// Where to go on.
    pub from: Option<&'a str>,
}

/// A room of a space.
#[derive(Clone, Debug)]
pub struct InSpace {
    /// What is told of it.
    pub summary: RoomSummary,
    /// If it is a space itself, its children, as stripped events.
    pub children: Vec<Box<RawValue>>,
}

/// A page of a walk.
#[derive(Clone, Debug, Default)]
pub struct Hierarchy {
    /// The rooms.
    pub rooms: Vec<InSpace>,
    /// Where to go on.
    pub next: Option<String>,
}

/// A child of a space.
struct Child {
    room: OwnedRoomId,
    event: Box<RawValue>,
    /// By what children are sorted (<https://spec.matrix.org/v1.19/client-server-api/#ordering-of-children-within-a-space>).
    rank: (bool, String, u64),
}

#[derive(Serialize)]
struct StrippedChild<'a> {
    content: &'a RawValue,
    origin_server_ts: u64,
    sender: &'a str,
    state_key: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
}

impl Rooms {
    /// The rooms of the space `root` that `user` may look at.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] when they may not look at the space itself, or it is not known; [`Refusal::UnknownToken`]; as
    /// every read.
    pub async fn hierarchy(
        &self,
        user: &UserId,
        root: &RoomId,
        query: &HierarchyQuery<'_>,
    ) -> Result<Hierarchy, Error> {
        let skip = query.from.map(|token| read_token(token, query)).transpose()?.unwrap_or_default();
        let limit = query.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(limits::HIERARCHY_PAGE);
        let limit = limit.clamp(1, limits::HIERARCHY_PAGE);
        let max_depth = query.max_depth.unwrap_or(limits::HIERARCHY_DEPTH).min(limits::HIERARCHY_DEPTH);
        let standing = self.standing(user).await?;
        let (mut seen, mut told, mut page) = (BTreeSet::from([root.to_owned()]), 0, Hierarchy::default());
        let mut open = vec![(root.to_owned(), 0)];
        while let Some((room_id, depth)) = open.pop() {
            let Some(outside) = self.in_space(&standing, &room_id).await? else {
                if depth == 0 {
                    let why = "you are not allowed to see this space, or it is not known here".to_owned();
                    return Err(Refusal::Forbidden { why }.into());
                }
                continue;
            };
            if told >= skip.saturating_add(limit) {
                page.next = Some(write_token(told, query));
                break;
            }
            let children = self.children(&outside, query).await?;
            if depth < max_depth && seen.len() < limits::HIERARCHY_ROOMS {
                let new = children.iter().rev().filter(|child| seen.insert(child.room.clone()));
                open.extend(new.map(|child| (child.room.clone(), depth + 1)));
            }
            if told >= skip {
                let children = children.into_iter().map(|child| child.event).collect();
                page.rooms.push(InSpace { summary: outside.summary, children });
            }
            told += 1;
        }
        Ok(page)
    }

    /// A room, if it is known here and may be looked at.
    async fn in_space(&self, standing: &Standing, room_id: &RoomId) -> Result<Option<Outside>, Error> {
        let Some(room) = find_room(self.store(), room_id).await? else { return Ok(None) };
        let Some(outside) = self.outsides(&[room]).await?.pop() else { return Ok(None) };
        Ok(self.may_look(Some(standing), &outside).await?.then_some(outside))
    }

    async fn children(&self, outside: &Outside, query: &HierarchyQuery<'_>) -> Result<Vec<Child>, Error> {
        if outside.summary.room_type != Some(ruma::room::RoomType::Space) {
            return Ok(Vec::new());
        }
        let Some(mut reading) = self.read_number(outside.room).await? else { return Ok(Vec::new()) };
        let mut children = reading.children_of_space(query).await?;
        children.sort_by(|a, b| (&a.rank, &a.room).cmp(&(&b.rank, &b.room)));
        Ok(children)
    }
}

impl Reading<'_> {
    async fn children_of_space(&mut self, query: &HierarchyQuery<'_>) -> Result<Vec<Child>, Error> {
        let keys: Vec<KeyNumber> = other_keys(self.store(), self.number()).await?.iter().collect();
        let names = self.graph.key_names(&keys).await?;
        let root = self.state();
        let of_children = names.iter().filter(|(_, name)| name.kind == StateEventType::SpaceChild);
        let asked: Vec<_> = of_children.take(limits::HIERARCHY_ROOMS).map(|(key, _)| (root, *key)).collect();
        let events: Vec<_> = self.lookup(&asked).await?.into_iter().flatten().collect();
        let mut children = Vec::with_capacity(events.len());
        for stored in self.stored(&events).await? {
            let fields = Fields::of(&stored.json)?;
            let content = content_of(&stored.json);
            let via = content.get("via").and_then(Value::as_array);
            let is_suggested = content.get("suggested").and_then(Value::as_bool).unwrap_or_default();
            let state_key = fields.state_key.as_deref().unwrap_or_default();
            let Ok(room) = OwnedRoomId::try_from(state_key) else { continue };
            if via.is_none_or(Vec::is_empty) || (query.suggested_only && !is_suggested) {
                continue;
            }
            let order = content.get("order").and_then(Value::as_str).filter(|order| is_order(order));
            let rank = (order.is_none(), order.unwrap_or_default().to_owned(), fields.origin_server_ts);
            let (content, origin_server_ts) = (fields.content, fields.origin_server_ts);
            let event =
                StrippedChild { content, origin_server_ts, sender: &fields.sender, state_key, kind: &fields.kind };
            children.push(Child { room, event: written(&event)?, rank });
        }
        Ok(children)
    }
}

/// Whether it is one by which children may be sorted: at most 50 printable characters.
fn is_order(order: &str) -> bool {
    order.len() <= 50 && order.bytes().all(|byte| (0x20..=0x7e).contains(&byte))
}

/// A token is good for the same question only.
fn write_token(told: usize, query: &HierarchyQuery<'_>) -> String {
    let depth = query.max_depth.map(|depth| depth.to_string()).unwrap_or_default();
    format!("h{told}_{}_{depth}", u8::from(query.suggested_only))
}

fn read_token(token: &str, query: &HierarchyQuery<'_>) -> Result<usize, Refusal> {
    let told = token.strip_prefix('h').and_then(|rest| rest.split_once('_')?.0.parse().ok());
    told.filter(|told| write_token(*told, query) == token).ok_or(Refusal::UnknownToken)
}

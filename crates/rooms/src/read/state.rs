//! States as they are read: whole or in parts, now or at a point, and what changed between two
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidstate>).

use std::collections::{BTreeMap, BTreeSet};

use base::limits;
use ruma::events::StateEventType;
use ruma::{OwnedUserId, UserId};
use serde_json::Value;

use crate::act::Profile;
use crate::append::{Membership, members};
use crate::error::Error;
use crate::event::StateKey;
use crate::graph::Stored;
use crate::number::{EventNumber, KeyNumber};
use crate::read::card::other_keys;
use crate::read::fields::{Fields, content_of};
use crate::read::reading::Reading;
use crate::state::{Nodes, StateRoot, load};

/// Which memberships of a state are asked for; everything else always is.
#[derive(Clone, Copy, Debug)]
pub enum Members<'a> {
    /// All.
    All,
    /// Those of these users.
    Of(&'a BTreeSet<OwnedUserId>),
    /// None.
    None,
}

/// A member of a room at a point.
#[derive(Clone, Debug)]
pub struct Member {
    /// The event that says so.
    pub stored: Stored,
    /// What they are to the room.
    pub membership: String,
}

impl Reading<'_> {
    /// The events of the state `root`. Without all members, a room of fifty thousand costs no more than one of five.
    ///
    /// # Errors
    /// As every read.
    pub async fn state_events(&mut self, root: StateRoot, members: Members<'_>) -> Result<Vec<Stored>, Error> {
        let numbers = self.state_numbers(root, members).await?;
        self.stored(&numbers).await
    }

    /// As [`Reading::state_events`], the numbers alone.
    ///
    /// # Errors
    /// As every read.
    pub async fn state_numbers(&mut self, root: StateRoot, members: Members<'_>) -> Result<Vec<EventNumber>, Error> {
        if let Members::All = members {
            return Ok(self.all(root).await?.into_iter().map(|(_, event)| event).collect());
        }
        let others = other_keys(self.store(), self.number()).await?;
        let mut asked: Vec<(StateRoot, KeyNumber)> = others.iter().map(|key| (root, key)).collect();
        if let Members::Of(users) = members {
            let keys = users.iter().map(|user| StateKey::new(StateEventType::RoomMember, user.as_str()));
            let numbers = self.graph.key_numbers(&keys.collect::<Vec<_>>()).await?;
            asked.extend(numbers.into_iter().flatten().map(|key| (root, key)));
        }
        Ok(self.lookup(&asked).await?.into_iter().flatten().collect())
    }

    /// All entries of a state.
    async fn all(&mut self, root: StateRoot) -> Result<Vec<(KeyNumber, EventNumber)>, Error> {
        let (mut entries, mut from) = (Vec::new(), KeyNumber(0));
        loop {
            let most = limits::STATE_ENTRIES_AT_ONCE;
            let question = |nodes: &mut Nodes| nodes.entries(root, from, most);
            let some = load(self.graph.store(), &mut self.nodes, question).await?;
            let last = some.last().map(|(key, _)| key.0).and_then(|last| last.checked_add(1));
            let is_full = some.len() >= most;
            entries.extend(some);
            match last {
                Some(next) if is_full => from = KeyNumber(next),
                _ => return Ok(entries),
            }
        }
    }

    /// What has changed from the state `before` to `after`: what is there now, by key. Nothing is told of keys under which
    /// there is nothing any more, because clients cannot be told that.
    ///
    /// # Errors
    /// As every read.
    pub async fn state_changes(&mut self, before: StateRoot, after: StateRoot) -> Result<Vec<EventNumber>, Error> {
        let question = |nodes: &mut Nodes| nodes.differences(before, after, KeyNumber(0), usize::MAX);
        let differences = load(self.graph.store(), &mut self.nodes, question).await?;
        Ok(differences.into_iter().filter_map(|difference| difference.after).collect())
    }

    /// The event of `kind` and `key` in the state `root`.
    ///
    /// # Errors
    /// As every read.
    pub async fn state_event(
        &mut self,
        root: StateRoot,
        kind: impl Into<StateEventType>,
        key: &str,
    ) -> Result<Option<Stored>, Error> {
        let Some(event) = self.entry(root, kind, key).await? else { return Ok(None) };
        Ok(self.stored(&[event]).await?.pop())
    }

    /// The membership events of these users in the state `root`, by user.
    ///
    /// # Errors
    /// As every read.
    pub async fn member_events(
        &mut self,
        root: StateRoot,
        users: &BTreeSet<OwnedUserId>,
    ) -> Result<BTreeMap<OwnedUserId, EventNumber>, Error> {
        let keys = users.iter().map(|user| StateKey::new(StateEventType::RoomMember, user.as_str()));
        let found = self.entries(root, &keys.collect::<Vec<_>>()).await?;
        Ok(users.iter().cloned().zip(found).filter_map(|(user, event)| Some((user, event?))).collect())
    }

    /// Those who are or were in the room, with what `asked` says of each membership. The members now are found by the index
    /// of these, those at another point by the state.
    ///
    /// # Errors
    /// As every read.
    pub async fn members_at(
        &mut self,
        root: StateRoot,
        asked: impl Fn(&str) -> bool + Send,
    ) -> Result<Vec<Member>, Error> {
        if root == self.state() {
            let mut now = members(self.store(), self.number()).await?;
            now.retain(|member| asked(&member.membership));
            now.sort_by_key(|member| member.event);
            let numbers: Vec<EventNumber> = now.iter().map(|member| member.event).collect();
            let stored = self.stored(&numbers).await?.into_iter().zip(now);
            return Ok(stored.map(|(stored, Membership { membership, .. })| Member { stored, membership }).collect());
        }
        let entries = self.all(root).await?;
        let others: BTreeSet<KeyNumber> = other_keys(self.store(), self.number()).await?.iter().collect();
        let numbers: Vec<EventNumber> =
            entries.into_iter().filter(|(key, _)| !others.contains(key)).map(|(_, event)| event).collect();
        let mut found = Vec::new();
        for stored in self.stored(&numbers).await? {
            if Fields::of(&stored.json)?.kind != "m.room.member" {
                continue;
            }
            let content = content_of(&stored.json);
            let membership = content.get("membership").and_then(Value::as_str).unwrap_or("leave");
            if asked(membership) {
                found.push(Member { membership: membership.to_owned(), stored });
            }
        }
        Ok(found)
    }

    /// Who is joined now, by the names they have here.
    ///
    /// # Errors
    /// As every read.
    pub async fn joined_profiles(&mut self) -> Result<BTreeMap<OwnedUserId, Profile>, Error> {
        let mut profiles = BTreeMap::new();
        for Member { stored, .. } in self.members_at(self.state(), |membership| membership == "join").await? {
            let fields = Fields::of(&stored.json)?;
            let Some(user) = fields.state_key.as_deref().and_then(|user| UserId::parse(user).ok()) else { continue };
            profiles.insert(user, profile(fields.content.get()));
        }
        Ok(profiles)
    }

    /// How these users present themselves in the state `root`.
    ///
    /// # Errors
    /// As every read.
    pub async fn profiles_at(
        &mut self,
        root: StateRoot,
        users: &BTreeSet<OwnedUserId>,
    ) -> Result<BTreeMap<OwnedUserId, Profile>, Error> {
        let events = self.member_events(root, users).await?;
        let stored = self.stored(&events.values().copied().collect::<Vec<_>>()).await?;
        let mut profiles = BTreeMap::new();
        for (user, stored) in events.into_keys().zip(&stored) {
            profiles.insert(user, profile(Fields::of(&stored.json)?.content.get()));
        }
        Ok(profiles)
    }

    /// Whether `user` is joined now.
    ///
    /// # Errors
    /// As every read.
    pub async fn is_joined(&self, user: &UserId) -> Result<bool, Error> {
        Ok(self.membership(user).await?.is_some_and(|membership| membership.membership == "join"))
    }

    /// The events of the state that those are told who are invited, or knock, or look at the room from outside
    /// (<https://spec.matrix.org/v1.19/client-server-api/#stripped-state>): what names the room and how it may be entered,
    /// who made it, and, for `user`, their own membership and that of whoever set it.
    ///
    /// # Errors
    /// As every read.
    pub async fn stripped_state(&mut self, root: StateRoot, user: &UserId) -> Result<Vec<EventNumber>, Error> {
        let kinds = [
            StateEventType::RoomCreate,
            StateEventType::RoomName,
            StateEventType::RoomAvatar,
            StateEventType::RoomTopic,
            StateEventType::RoomJoinRules,
            StateEventType::RoomCanonicalAlias,
            StateEventType::RoomEncryption,
        ];
        let mut keys: Vec<StateKey> = kinds.into_iter().map(|kind| StateKey::new(kind, "")).collect();
        let own = StateKey::new(StateEventType::RoomMember, user.as_str());
        if let Some(member) = self.state_event(root, StateEventType::RoomMember, user.as_str()).await? {
            let sender = Fields::of(&member.json)?.sender.into_owned();
            if sender != user.as_str() {
                keys.push(StateKey::new(StateEventType::RoomMember, sender));
            }
        }
        keys.push(own);
        Ok(self.entries(root, &keys).await?.into_iter().flatten().collect())
    }
}

/// How somebody presents themselves, as a member event of this content says; what is none counts for nothing.
fn profile(content: &str) -> Profile {
    let content: Value = serde_json::from_str(content).unwrap_or_default();
    let text = |field: &str| content.get(field).and_then(Value::as_str).map(str::to_owned);
    Profile { displayname: text("displayname"), avatar_url: text("avatar_url") }
}

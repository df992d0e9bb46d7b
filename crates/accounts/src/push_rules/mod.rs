//! The push rules of users (<https://spec.matrix.org/v1.19/client-server-api/#push-rules>). They are account data of the type
//! `m.push_rules`; who has never changed any has the defaults, and nothing is stored for them. Rules that a newer version of
//! this server brings are there for everybody at once, with what the user decided about those of the same name.
//!
//! Must not evaluate a rule; that is done where events are.

mod bounds;
mod defaults;

#[cfg(test)]
mod tests;

use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use base::collections::SeededState;
use base::limits;
use ruma::push::{
    Action, AnyPushRule, ConditionalPushRule, InsertPushRuleError, NewPushRule, PatternedPushRule, RemovePushRuleError,
    RuleKind, Ruleset, SimplePushRule,
};
use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::account_data::ignored::Users;
use crate::accounts::Accounts;
use crate::error::{Error, Refusal};
use crate::fresh::Fresh;
use crate::user::digest;

pub use defaults::server_default;

/// The type of account data that they are.
pub(crate) const TYPE: &str = "m.push_rules";

/// What decides of which events a user is notified.
#[derive(Clone, Debug)]
pub struct PushSettings {
    /// The rules.
    pub ruleset: Ruleset,
    /// Whose events do not exist for the user.
    pub ignored: Users,
    /// Another whenever one of these is.
    pub version: [u64; 2],
    bytes: usize,
}

pub(crate) type PushCache = Fresh<[u8; 32], Arc<PushSettings>>;

pub(crate) fn push_cache() -> PushCache {
    // Taken apart, rules take a few times what they take as text.
    let weight = |settings: &Arc<PushSettings>| 4 * settings.bytes + 60 * settings.ignored.len();
    Fresh::new(limits::PUSH_SETTINGS_BYTES, limits::SESSION_CACHE_AGE, weight)
}

#[derive(Deserialize)]
struct Content {
    global: Ruleset,
}

/// As clients get them: every kind is there, also when it has no rules.
#[derive(Serialize)]
struct Shown<'a> {
    global: Kinds<'a>,
}

#[derive(Serialize)]
struct Kinds<'a> {
    #[serde(rename = "override")]
    overrides: Vec<&'a ConditionalPushRule>,
    content: Vec<&'a PatternedPushRule>,
    room: Vec<&'a SimplePushRule<OwnedRoomId>>,
    sender: Vec<&'a SimplePushRule<OwnedUserId>>,
    underride: Vec<&'a ConditionalPushRule>,
}

fn shown(rules: &Ruleset) -> Result<Box<RawValue>, Refusal> {
    let global = Kinds {
        overrides: rules.override_.iter().collect(),
        content: rules.content.iter().collect(),
        room: rules.room.iter().collect(),
        sender: rules.sender.iter().collect(),
        underride: rules.underride.iter().collect(),
    };
    to_raw_value(&Shown { global }).map_err(|error| Refusal::BadJson { what: error.to_string() })
}

/// The rules in `stored`, with those that the server has now.
fn read(user: &UserId, stored: Option<&RawValue>) -> Result<Ruleset, Refusal> {
    let Some(stored) = stored else { return Ok(server_default(user)) };
    let content = serde_json::from_str::<Content>(stored.get());
    let mut rules =
        content.map_err(|error| Refusal::BadJson { what: format!("the stored push rules: {error}") })?.global;
    rules.update_with_server_default(server_default(user));
    Ok(rules)
}

/// `m.push_rules` as clients get it, given what is stored.
pub(crate) fn content(user: &UserId, stored: Option<&RawValue>) -> Result<Box<RawValue>, Error> {
    Ok(shown(&read(user, stored)?)?)
}

fn hash(value: &(impl Hash + ?Sized)) -> u64 {
    SeededState::default().hash_one(value)
}

impl Accounts {
    /// What decides of which events `user` is notified; usually from memory.
    ///
    /// # Errors
    /// As every read.
    pub async fn push_settings(&self, user: &UserId) -> Result<Arc<PushSettings>, Error> {
        let (key, now) = (digest(user), self.store().clock().monotonic());
        if let Some(known) = self.push.get(&key, now) {
            return Ok(known);
        }
        let reading = self.push.begin(now);
        let json = self.push_rules_json(user).await?;
        let ignored = self.ignored_users(user).await?;
        // In no order, so the hash of each counts for itself.
        let of_ignored = ignored.iter().map(hash).fold(0u64, u64::wrapping_add);
        let (version, bytes) = ([hash(json.get()), of_ignored], json.get().len());
        let settings = Arc::new(PushSettings { ruleset: read(user, Some(&json))?, ignored, version, bytes });
        self.push.put(key, Arc::clone(&settings), reading);
        Ok(settings)
    }

    /// `user`'s rules as clients get them, which is the content of `m.push_rules`.
    ///
    /// # Errors
    /// As every read.
    pub async fn push_rules_json(&self, user: &UserId) -> Result<Box<RawValue>, Error> {
        match self.account_data(user, None, TYPE).await? {
            Some(content) => Ok(content),
            None => content(user, None),
        }
    }

    /// One rule.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], also for a kind that there is not; as every read.
    pub async fn push_rule(&self, user: &UserId, kind: RuleKind, id: &str) -> Result<AnyPushRule, Error> {
        let settings = self.push_settings(user).await?;
        let rule = settings.ruleset.get(kind, id).map(ruma::push::AnyPushRuleRef::to_owned);
        rule.ok_or_else(|| no_rule().into())
    }

    /// Adds a rule, or changes it, or moves it: <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3pushrulesglobalkindruleid>.
    ///
    /// # Errors
    /// [`Refusal::InvalidParam`] for a name or a place that it cannot have, [`Refusal::TooMany`]; as every commit.
    pub async fn put_push_rule(
        &self,
        user: &UserId,
        rule: NewPushRule,
        after: Option<&str>,
        before: Option<&str>,
    ) -> Result<(), Error> {
        bounds::check(&rule)?;
        self.change_rules(user, |rules| {
            let inserted = rules.insert(rule.clone(), after, before);
            inserted.map_err(|error| insertion(&error))?;
            bounds::check_count(rules)
        })
        .await
    }

    /// Removes a rule of the user's own.
    ///
    /// # Errors
    /// [`Refusal::NotFound`]; [`Refusal::InvalidParam`] for one of the server's; as every commit.
    pub async fn remove_push_rule(&self, user: &UserId, kind: RuleKind, id: &str) -> Result<(), Error> {
        self.change_rules(user, |rules| {
            rules.remove(kind.clone(), id).map_err(|error| match error {
                RemovePushRuleError::ServerDefault => Refusal::invalid("the server's own rules cannot be removed"),
                _ => no_rule(),
            })
        })
        .await
    }

    /// Has a rule apply, or not.
    ///
    /// # Errors
    /// [`Refusal::NotFound`]; as every commit.
    pub async fn enable_push_rule(&self, user: &UserId, kind: RuleKind, id: &str, on: Enabled) -> Result<(), Error> {
        let enabled = on == Enabled::Yes;
        self.change_rules(user, |rules| rules.set_enabled(kind.clone(), id, enabled).map_err(|_| no_rule())).await
    }

    /// Says what a rule does.
    ///
    /// # Errors
    /// [`Refusal::NotFound`]; [`Refusal::TooMany`]; as every commit.
    pub async fn set_push_rule_actions(
        &self,
        user: &UserId,
        kind: RuleKind,
        id: &str,
        actions: Vec<Action>,
    ) -> Result<(), Error> {
        bounds::check_actions(&actions)?;
        let change = |rules: &mut Ruleset| rules.set_actions(kind.clone(), id, actions.clone()).map_err(|_| no_rule());
        self.change_rules(user, change).await
    }

    /// What `user` decided about the room `from` applies to `to`, which replaces it, unless they decided about that already.
    ///
    /// # Errors
    /// As every commit.
    pub async fn carry_push_rules_over(&self, user: &UserId, from: &RoomId, to: &RoomId) -> Result<(), Error> {
        if self.account_data(user, None, TYPE).await?.is_none() {
            return Ok(());
        }
        self.change_rules(user, |rules| {
            let Some(mut rule) = rules.room.get(from.as_str()).cloned() else { return Ok(()) };
            if rules.room.get(to.as_str()).is_none() {
                rule.rule_id = to.to_owned();
                rules.room.insert(rule);
            }
            Ok(())
        })
        .await
    }

    async fn change_rules(
        &self,
        user: &UserId,
        change: impl Fn(&mut Ruleset) -> Result<(), Refusal>,
    ) -> Result<(), Error> {
        let changed = self.update_account_data(user, None, TYPE, |stored| {
            let mut rules = read(user, stored)?;
            let before = shown(&rules)?;
            change(&mut rules)?;
            let after = shown(&rules)?;
            Ok((after.get() != before.get()).then_some(after))
        });
        changed.await.map(drop)
    }
}

/// Whether a rule applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enabled {
    /// It does.
    Yes,
    /// It does not.
    No,
}

fn no_rule() -> Refusal {
    Refusal::NotFound { what: "push rule" }
}

fn insertion(error: &InsertPushRuleError) -> Refusal {
    Refusal::invalid(match error {
        InsertPushRuleError::ServerDefaultRuleId => "names of rules that begin with a dot are the server's",
        InsertPushRuleError::InvalidRuleId => "a rule's name has no slashes and backslashes",
        InsertPushRuleError::RelativeToServerDefaultRule => "a rule cannot stand beside one of the server's",
        InsertPushRuleError::UnknownRuleId => "the rule beside which it should stand is not there",
        InsertPushRuleError::BeforeHigherThanAfter => "no place is both before the one and after the other",
        _ => "the rule cannot be added",
    })
}

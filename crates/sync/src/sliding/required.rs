//! Which state of a room a client asks for: pairs of type and state key, with `*` for any, `$ME` for the user and `$LAZY` for
//! the members who speak in what is shown.

use std::collections::{BTreeMap, BTreeSet};

use rooms::event::StateKey;
use ruma::{OwnedUserId, UserId};
use serde::{Deserialize, Deserializer};

/// The type of memberships.
const MEMBER: &str = "m.room.member";

/// State asked for, by type: the keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RequiredState {
    include: BTreeMap<String, BTreeSet<String>>,
    exclude: BTreeMap<String, BTreeSet<String>>,
}

/// The two forms that there are.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Pairs(Vec<(String, String)>),
    Request {
        #[serde(default)]
        include: Vec<Element>,
        #[serde(default)]
        exclude: Vec<Element>,
        #[serde(default)]
        lazy_members: bool,
    },
}

/// What is not said is anything.
#[derive(Deserialize)]
struct Element {
    #[serde(rename = "type")]
    kind: Option<String>,
    state_key: Option<String>,
}

impl<'de> Deserialize<'de> for RequiredState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut state = Self::default();
        match Written::deserialize(deserializer)? {
            Written::Pairs(pairs) => {
                for (kind, key) in pairs {
                    state.include.entry(kind).or_default().insert(key);
                }
            }
            Written::Request { include, exclude, lazy_members } => {
                let any = |part: Option<String>| part.unwrap_or_else(|| "*".to_owned());
                for Element { kind, state_key } in include {
                    state.include.entry(any(kind)).or_default().insert(any(state_key));
                }
                for Element { kind, state_key } in exclude {
                    state.exclude.entry(any(kind)).or_default().insert(any(state_key));
                }
                if lazy_members {
                    state.include.entry(MEMBER.to_owned()).or_default().insert("$LAZY".to_owned());
                }
            }
        }
        Ok(state)
    }
}

/// For whom state is asked, and who speaks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct For<'a> {
    pub(crate) me: &'a UserId,
    pub(crate) speaking: &'a BTreeSet<OwnedUserId>,
}

impl RequiredState {
    /// How many pairs there are.
    pub(crate) fn len(&self) -> usize {
        self.include.values().chain(self.exclude.values()).map(BTreeSet::len).sum()
    }

    /// Also what `other` asks for.
    pub(crate) fn add(&mut self, other: &Self) {
        // A room that one list asks more of gets it, so only what all leave out is left out.
        if self.include.is_empty() {
            self.exclude.clone_from(&other.exclude);
        } else if !other.include.is_empty() {
            self.exclude.retain(|kind, keys| other.exclude.get(kind) == Some(keys));
        }
        for (kind, keys) in &other.include {
            self.include.entry(kind.clone()).or_default().extend(keys.iter().cloned());
        }
    }

    /// Whether members are asked for as they speak.
    pub(crate) fn is_lazy(&self) -> bool {
        self.include.get(MEMBER).is_some_and(|keys| keys.contains("$LAZY"))
    }

    /// Whether everybody's membership is asked for.
    pub(crate) fn wants_all_members(&self) -> bool {
        match self.include.get(MEMBER) {
            Some(keys) => keys.contains("*"),
            None => self.include.get("*").is_some_and(|keys| keys.contains("*")),
        }
    }

    /// What is asked for by name; `None` where that does not say it all.
    pub(crate) fn named(&self, of: For<'_>) -> Option<Vec<StateKey>> {
        let mut named = Vec::new();
        for (kind, keys) in &self.include {
            if kind == "*" || keys.contains("*") {
                return None;
            }
            for key in keys {
                match key.as_str() {
                    "$ME" => named.push(StateKey::new(kind.clone(), of.me.as_str())),
                    "$LAZY" if kind == MEMBER => {
                        named.extend(of.speaking.iter().map(|user| StateKey::new(kind.clone(), user.as_str())));
                    }
                    key => named.push(StateKey::new(kind.clone(), key)),
                }
            }
        }
        named.retain(|key| self.takes(&key.kind.to_string(), &key.key, of));
        named.sort();
        named.dedup();
        Some(named)
    }

    /// Whether the state under `kind` and `key` is asked for. Where everything is, what is said of one type is all that is
    /// asked for of that type.
    pub(crate) fn takes(&self, kind: &str, key: &str, of: For<'_>) -> bool {
        let has = |keys: &BTreeSet<String>| {
            keys.contains("*")
                || keys.contains(key)
                || (key == of.me.as_str() && keys.contains("$ME"))
                || (kind == MEMBER && keys.contains("$LAZY") && of.speaking.iter().any(|user| user.as_str() == key))
        };
        if [kind, "*"].iter().any(|kind| self.exclude.get(*kind).is_some_and(has)) {
            return false;
        }
        let any = self.include.get("*");
        match self.include.get(kind) {
            Some(keys) if has(keys) => true,
            Some(_) => any.is_some_and(|keys| !keys.contains("*") && has(keys)),
            None => any.is_some_and(has),
        }
    }
}

#[cfg(test)]
mod tests {
    use ruma::{owned_user_id, user_id};
    use serde_json::{Value, json};

    use super::*;

    fn takes(state: &Value, asked: &[(&str, &str)]) -> Vec<bool> {
        let state: RequiredState = serde_json::from_value(state.clone()).unwrap();
        let speaking = [owned_user_id!("@bob:hs")].into();
        let of = For { me: user_id!("@me:hs"), speaking: &speaking };
        asked.iter().map(|(kind, key)| state.takes(kind, key, of)).collect()
    }

    #[test]
    fn pairs_wildcards_and_special_keys_say_what_is_asked_for() {
        let pairs = json!([["m.room.name", ""], ["m.room.member", "$ME"], ["m.room.member", "$LAZY"], ["m.x", "*"]]);
        let asked = [
            ("m.room.name", ""),
            ("m.room.topic", ""),
            ("m.room.member", "@me:hs"),
            ("m.room.member", "@bob:hs"),
            ("m.room.member", "@carol:hs"),
            ("m.x", "anything"),
        ];
        assert_eq!(takes(&pairs, &asked), [true, false, true, true, false, true]);
        let all = json!([["*", "*"], ["m.room.member", "$LAZY"]]);
        assert_eq!(takes(&all, &asked), [true, true, false, true, false, true]);
        assert_eq!(takes(&json!([["*", ""]]), &asked), [true, true, false, false, false, false]);
        let request = json!({ "include": [{}], "exclude": [{ "type": "m.x" }], "lazy_members": true });
        assert_eq!(takes(&request, &asked), [true, true, false, true, false, false]);
        assert_eq!(takes(&json!([]), &asked), [false; 6]);
    }

    #[test]
    fn what_is_named_is_listed_and_what_is_not_cannot_be() {
        let speaking = [owned_user_id!("@bob:hs")].into();
        let of = For { me: user_id!("@me:hs"), speaking: &speaking };
        let state = |json: Value| serde_json::from_value::<RequiredState>(json).unwrap();
        let named = state(json!([["m.room.name", ""], ["m.room.member", "$ME"], ["m.room.member", "$LAZY"]])).named(of);
        let keys: Vec<String> = named.unwrap().into_iter().map(|key| key.key).collect();
        assert_eq!(keys, ["@bob:hs", "@me:hs", ""]);
        assert_eq!(state(json!([["m.room.name", "*"]])).named(of), None);
        let mut both = state(json!([["a", ""]]));
        both.add(&state(json!([["b", ""], ["m.room.member", "$LAZY"]])));
        assert!(both.is_lazy() && both.takes("a", "", of) && both.takes("b", "", of) && !both.wants_all_members());
    }
}

//! Which servers may take part in a room: its access control list
//! (<https://spec.matrix.org/v1.19/client-server-api/#server-access-control-lists-acls-for-rooms>). Asked for every event and
//! every local matter (typing, receipts) that a server sends, and by the endpoints that the list protects
//! (<https://spec.matrix.org/v1.19/server-server-api/#server-access-control-lists-acls>).
//!
//! It reads leniently: an entry that is no text denies and allows nobody.

use ruma::ServerName;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::Error;
use crate::event::{RoomVersion, StateKey};
use crate::graph::{Graph, head_of};
use crate::number::{EventNumber, RoomNumber};
use crate::rooms::Rooms;
use crate::state::{Nodes, load};

/// A room's access control list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerAcl {
    allow: Vec<String>,
    deny: Vec<String>,
    allow_ip_literals: bool,
}

#[derive(Deserialize)]
struct Content {
    #[serde(default)]
    allow: Value,
    #[serde(default)]
    deny: Value,
    #[serde(default)]
    allow_ip_literals: Value,
}

impl ServerAcl {
    /// Reads the content of an `m.room.server_acl` event. One that is not even an object of the right shape allows nobody,
    /// as an empty one does.
    pub fn read(content: &RawValue) -> Self {
        let content: Option<Content> = serde_json::from_str(content.get()).ok();
        let patterns = |list: &Value| {
            let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
            list.iter().filter_map(Value::as_str).map(str::to_ascii_lowercase).collect()
        };
        let Some(content) = content else { return Self { allow_ip_literals: true, ..Self::default() } };
        Self {
            allow: patterns(&content.allow),
            deny: patterns(&content.deny),
            allow_ip_literals: content.allow_ip_literals != Value::Bool(false),
        }
    }

    /// Whether `server` may take part. Ports do not count.
    pub fn allows(&self, server: &ServerName) -> bool {
        if !self.allow_ip_literals && server.is_ip_literal() {
            return false;
        }
        let host = server.host().to_ascii_lowercase();
        let in_list = |list: &[String]| list.iter().any(|pattern| matches(pattern.as_bytes(), host.as_bytes()));
        !in_list(&self.deny) && in_list(&self.allow)
    }
}

/// Glob matching (<https://spec.matrix.org/v1.19/appendices/#glob-style-matching>): `*` for any number of characters, `?`
/// for one. Server names are ASCII, so a byte is a character. Remembers only the last `*`, so a pattern made to be slow
/// costs at most the product of the lengths, of which a server name's is at most 255.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut here) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while here < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, here));
                at += 1;
            }
            Some(byte) if *byte == b'?' || text.get(here) == Some(byte) => {
                at += 1;
                here += 1;
            }
            _ => {
                let Some((last, from)) = star else { return false };
                star = Some((last, from + 1));
                at = last + 1;
                here = from + 1;
            }
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|byte| *byte == b'*')
}

impl Rooms {
    /// The access control list that `room`'s state has now; `None` for a room without one, where every server may take part.
    ///
    /// # Errors
    /// As every read.
    pub async fn server_acl(&self, room: RoomNumber) -> Result<Option<ServerAcl>, Error> {
        let Some((head, _)) = head_of(self.store(), room).await? else { return Ok(None) };
        let graph = Graph::new(self.store(), room, RoomVersion::of(&head.version)?);
        let key = StateKey::new("m.room.server_acl", "");
        let Some(Some(number)) = graph.key_numbers(&[key]).await?.first().copied() else { return Ok(None) };
        let mut nodes = Nodes::new(room);
        let held = load(self.store(), &mut nodes, |nodes| nodes.lookup(head.state, &[number])).await?;
        let events: Vec<EventNumber> = held.into_iter().flatten().collect();
        let acl = graph.events(&events).await?.into_iter().flatten().next();
        Ok(acl.map(|known| ServerAcl::read(known.pdu.content())))
    }

    /// Whether `server` may take part in `room`, by its access control list.
    ///
    /// # Errors
    /// As every read.
    pub async fn may_take_part(&self, room: RoomNumber, server: &ServerName) -> Result<bool, Error> {
        if server == self.server() {
            return Ok(true);
        }
        Ok(self.server_acl(room).await?.is_none_or(|acl| acl.allows(server)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn acl(content: &Value) -> ServerAcl {
        ServerAcl::read(&serde_json::value::to_raw_value(content).unwrap())
    }

    fn allows(content: &Value, server: &str) -> bool {
        acl(content).allows(<&ServerName>::try_from(server).unwrap())
    }

    #[test]
    fn the_specifications_example_denies_the_evil_and_addresses() {
        let content = json!({ "allow_ip_literals": false, "allow": ["*"], "deny": ["*.evil.com", "evil.com"] });
        for (server, allowed) in [
            ("good.com", true),
            ("evil.com", false),
            ("evil.com:8448", false),
            ("EVIL.com:1234", false),
            ("more.evil.com", false),
            ("notevil.com", true),
            ("1.2.3.4", false),
            ("1.2.3.4:8448", false),
            ("[2001:db8::1]", false),
            ("[2001:db8::1]:8448", false),
        ] {
            assert_eq!(allows(&content, server), allowed, "{server}");
        }
    }

    #[test]
    fn who_is_in_no_list_is_denied_and_denial_wins() {
        assert!(!allows(&json!({}), "one"));
        assert!(!allows(&json!({ "deny": ["two"] }), "one"));
        assert!(!allows(&json!({ "allow": ["one"], "deny": ["o?e"] }), "one"));
        assert!(allows(&json!({ "allow": ["o?e"], "deny": ["o??e"] }), "one"));
    }

    #[test]
    fn malformed_parts_count_as_absent() {
        assert!(allows(&json!({ "allow": ["*", 7, null], "deny": "one" }), "one"));
        assert!(allows(&json!({ "allow": ["*"], "allow_ip_literals": "false" }), "1.2.3.4"));
        assert!(!allows(&json!({ "allow": { "*": true } }), "one"));
        assert!(!allows(&json!(["*"]), "one"));
    }

    #[test]
    fn a_pattern_made_to_be_slow_is_not() {
        let pattern = "*a".repeat(30_000);
        assert!(!allows(&json!({ "allow": [pattern] }), &"a".repeat(200)));
    }

    /// The definition, as it is read.
    fn slow(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => (0..=text.len()).any(|at| slow(rest, &text[at..])),
            ([b'?', rest @ ..], [_, text @ ..]) => slow(rest, text),
            ([one, rest @ ..], [other, text @ ..]) => one == other && slow(rest, text),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn patterns_match_as_the_definition_says(pattern in "[ab*?]{0,8}", text in "[ab]{0,8}") {
            prop_assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), slow(pattern.as_bytes(), text.as_bytes()));
        }
    }
}

//! Sync tokens: how much of the log a client has seen, and beside it what is not in the log.
//!
//! `s12_7`, possibly followed by `-d9` (to-device messages were given only up to 9, because there were too many for one
//! answer) and by `~1a2b.5.7` (typing and presence up to these versions, of the process that drew the number `1a2b`).
//! What is in the log means the same for ever; what is not, a restart makes void, and the client is told the present.

use std::fmt;

use base::{Position, Positions};

use crate::error::Refusal;

/// What a client has seen of that which lives in memory only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Volatile {
    /// Drawn at the start of the process whose versions these are.
    pub boot: u32,
    /// The version of typing.
    pub typing: u64,
    /// The version of presence.
    pub presence: u64,
    /// Whether the client was last told that somebody is typing.
    pub somebody_types: bool,
}

/// A client's sync token.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Token {
    /// How much of the log was seen.
    pub positions: Positions,
    /// How far to-device messages were given, where that is less.
    pub to_device: Option<Position>,
    /// What was seen of typing and presence.
    pub volatile: Option<Volatile>,
}

impl Token {
    /// A token of `positions` alone.
    pub fn at(positions: Positions) -> Self {
        Self { positions, to_device: None, volatile: None }
    }

    /// Reads a token as a client sends it.
    ///
    /// # Errors
    /// [`Refusal::UnknownToken`].
    pub fn parse(token: &str) -> Result<Self, Refusal> {
        Self::read(token).ok_or(Refusal::UnknownToken)
    }

    fn read(token: &str) -> Option<Self> {
        let (positions, rest) = Positions::parse(token)?;
        let (stored, volatile) = match rest.split_once('~') {
            Some((stored, volatile)) => (stored, Some(Volatile::read(volatile)?)),
            None => (rest, None),
        };
        let to_device = match stored {
            "" => None,
            stored => Some(Position(stored.strip_prefix("-d")?.parse().ok()?)),
        };
        Some(Self { positions, to_device, volatile })
    }
}

impl Volatile {
    fn read(text: &str) -> Option<Self> {
        let (text, somebody_types) = match text.strip_suffix('t') {
            Some(text) => (text, true),
            None => (text, false),
        };
        let mut parts = text.split('.');
        let boot = u32::from_str_radix(parts.next()?, 16).ok()?;
        let typing = parts.next()?.parse().ok()?;
        let presence = parts.next()?.parse().ok()?;
        parts.next().is_none().then_some(Self { boot, typing, presence, somebody_types })
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.positions)?;
        if let Some(position) = self.to_device {
            write!(f, "-d{position}")?;
        }
        if let Some(Volatile { boot, typing, presence, somebody_types }) = self.volatile {
            write!(f, "~{boot:x}.{typing}.{presence}{}", if somebody_types { "t" } else { "" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_back_as_they_were_printed() {
        let positions = Positions::new(vec![Position(12), Position(7)]);
        let volatile = Some(Volatile { boot: 0x1a2b, typing: 5, presence: 7, somebody_types: true });
        for (token, printed) in [
            (Token::at(positions.clone()), "s12_7"),
            (Token { to_device: Some(Position(9)), ..Token::at(positions.clone()) }, "s12_7-d9"),
            (Token { volatile, ..Token::at(positions.clone()) }, "s12_7~1a2b.5.7t"),
            (Token { to_device: Some(Position(9)), volatile, positions }, "s12_7-d9~1a2b.5.7t"),
        ] {
            assert_eq!(token.to_string(), printed);
            assert_eq!(Token::parse(printed), Ok(token));
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for wrong in ["", "s", "12", "s12-", "s12-d", "s12~", "s12~1.2", "s12~1.2.3.4", "s12~x.2.3", "s12 ", "s12-9"] {
            assert_eq!(Token::parse(wrong), Err(Refusal::UnknownToken), "{wrong}");
        }
    }
}

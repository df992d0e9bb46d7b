//! Tokens: points between the events of a room, as clients hand them back
//! (<https://spec.matrix.org/v1.19/client-server-api/#pagination>).
//!
//! `t` and a place (`l`, `f` or `h` and numbers) is the point right before the event in that place. Where a client may also hand
//! in what it got from `/sync`, `s` and the positions of all partitions is the point right after all that it had seen.

use std::fmt;
use std::str::FromStr;

use base::{Partition, Position, Positions};

use crate::error::{Error, Refusal};
use crate::timeline::Order;

/// A point of a room's timeline: right before the event in this place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Token(pub Order);

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Order::Live(position) => write!(f, "tl{position}"),
            Order::Filled(position, place) => write!(f, "tf{position}-{place}"),
            Order::History(place) => write!(f, "th{place}"),
        }
    }
}

impl FromStr for Token {
    type Err = Refusal;

    fn from_str(token: &str) -> Result<Self, Refusal> {
        let (kind, number) = token.split_at_checked(2).ok_or_else(unknown)?;
        let read = |number: &str| number.parse::<u64>().map_err(|_| unknown());
        match kind {
            "tl" => Ok(Self(Order::Live(Position(read(number)?)))),
            "tf" => {
                let (position, place) = number.split_once('-').ok_or_else(unknown)?;
                Ok(Self(Order::Filled(Position(read(position)?), read(place)?)))
            }
            "th" => Ok(Self(Order::History(read(number)?))),
            _ => Err(unknown()),
        }
    }
}

impl Token {
    /// Reads a token of a room in `partition` that may also come from `/sync`.
    ///
    /// # Errors
    /// [`Refusal::UnknownToken`].
    pub fn of_room(token: &str, partition: Partition) -> Result<Self, Error> {
        if !token.starts_with('s') {
            return Ok(token.parse()?);
        }
        let (positions, _) = Positions::parse(token).ok_or_else(unknown)?;
        Ok(Self(Order::Live(positions.of(partition).next())))
    }
}

fn unknown() -> Refusal {
    Refusal::UnknownToken
}

//! Canonical JSON: the one byte string that a JSON value stands for when it is signed or hashed.
//!
//! Signatures cover bytes, so two parties must agree on the bytes of a value, and no two values may share them. What has no
//! single canonical form is refused on reading rather than repaired: fractions and exponents, `-0`, integers beyond
//! ±(2⁵³−1), duplicate keys, lone surrogates. Depth is bounded, so that a hostile value cannot exhaust the stack.
//!
//! This module knows nothing of signatures; they are in [`crate::bundle`].
//!
//! <https://spec.matrix.org/v1.19/appendices/#canonical-json>

mod object;
mod parse;
#[cfg(test)]
mod tests;
mod write;

pub use object::{FieldError, Object};
pub use parse::JsonError;

/// The deepest nesting of arrays and objects that is read. Key objects nest four deep; the rest is for what clients add.
pub const DEPTH_MAX: usize = 64;

/// The largest magnitude of an integer: what every IEEE double holds exactly.
pub const INTEGER_MAX: i64 = (1 << 53) - 1;

/// An integer that canonical JSON can express.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Integer(i64);

impl Integer {
    /// The integer, if its magnitude is at most [`INTEGER_MAX`].
    pub fn new(value: i64) -> Option<Self> {
        (-INTEGER_MAX..=INTEGER_MAX).contains(&value).then_some(Self(value))
    }

    /// The value.
    pub fn get(self) -> i64 {
        self.0
    }
}

impl From<u32> for Integer {
    fn from(value: u32) -> Self {
        Self(i64::from(value))
    }
}

/// A JSON value that has a canonical form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number; canonical JSON has integers only.
    Integer(Integer),
    /// A string.
    String(String),
    /// An array, in the order given.
    Array(Vec<Self>),
    /// An object; its keys are unique and in code point order.
    Object(Object),
}

impl Value {
    /// Reads any JSON text, canonical or not, that stands for a value with a canonical form.
    pub fn parse(json: &[u8]) -> Result<Self, JsonError> {
        parse::value(json)
    }

    /// The canonical encoding.
    pub fn to_canonical(&self) -> String {
        let mut out = String::new();
        write::value(&mut out, self);
        out
    }

    /// The object, if it is one.
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The string, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(string) => Some(string),
            _ => None,
        }
    }

    /// The array, if it is one.
    pub fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(values) => Some(values),
            _ => None,
        }
    }

    /// The integer, if it is one.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(integer) => Some(integer.get()),
            _ => None,
        }
    }
}

impl From<&str> for Value {
    fn from(string: &str) -> Self {
        Self::String(string.to_owned())
    }
}

impl From<String> for Value {
    fn from(string: String) -> Self {
        Self::String(string)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<Integer> for Value {
    fn from(integer: Integer) -> Self {
        Self::Integer(integer)
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(object)
    }
}

impl<T: Into<Self>> From<Vec<T>> for Value {
    fn from(values: Vec<T>) -> Self {
        Self::Array(values.into_iter().map(Into::into).collect())
    }
}

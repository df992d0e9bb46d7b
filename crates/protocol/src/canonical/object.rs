//! An object of canonical JSON, with reads that say which field was wrong.

use std::collections::BTreeMap;

use super::{JsonError, Value, parse, write};

/// A field that is not what the format asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// A required field is not there.
    #[error("reading an object: `{0}` is missing")]
    Missing(String),
    /// A field has another type than the format says.
    #[error("reading an object: `{name}` is not {expected}")]
    Type {
        /// The field.
        name: String,
        /// What it should be.
        expected: &'static str,
    },
}

/// A JSON object whose keys are unique and sorted by code point.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object(BTreeMap<String, Value>);

impl Object {
    /// An object without fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a JSON text that holds exactly one object.
    pub fn parse(json: &[u8]) -> Result<Self, JsonError> {
        match parse::value(json)? {
            Value::Object(object) => Ok(object),
            _ => Err(JsonError::NotAnObject),
        }
    }

    /// The canonical encoding.
    pub fn to_canonical(&self) -> String {
        let mut out = String::new();
        write::object(&mut out, self, &[]);
        out
    }

    /// The bytes a signature covers: the canonical encoding without `signatures` and `unsigned`.
    ///
    /// <https://spec.matrix.org/v1.19/appendices/#signing-details>
    pub fn signed_bytes(&self) -> Vec<u8> {
        let mut out = String::new();
        write::object(&mut out, self, &["signatures", "unsigned"]);
        out.into_bytes()
    }

    /// The same object with one more field, for building.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.insert(name, value);
        self
    }

    /// Sets a field; the value it had before is returned.
    pub fn insert(&mut self, name: &str, value: impl Into<Value>) -> Option<Value> {
        self.0.insert(name.to_owned(), value.into())
    }

    /// Sets a field that must not be there yet; used by the reader to refuse duplicate keys.
    pub(super) fn insert_new(&mut self, name: String, value: Value) -> Result<(), String> {
        match self.0.entry(name) {
            std::collections::btree_map::Entry::Occupied(entry) => Err(entry.key().clone()),
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(value);
                Ok(())
            }
        }
    }

    /// Takes a field out.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name)
    }

    /// A field.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// A field, to be changed.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        self.0.get_mut(name)
    }

    /// The fields in canonical order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A required string.
    pub fn string(&self, name: &str) -> Result<&str, FieldError> {
        self.required(name)?.as_str().ok_or_else(|| wrong(name, "a string"))
    }

    /// A string that may be absent.
    pub fn optional_string(&self, name: &str) -> Result<Option<&str>, FieldError> {
        self.get(name).map(|value| value.as_str().ok_or_else(|| wrong(name, "a string"))).transpose()
    }

    /// A required integer that is not negative.
    pub fn unsigned(&self, name: &str) -> Result<u64, FieldError> {
        let integer = self.required(name)?.as_integer().ok_or_else(|| wrong(name, "an integer"))?;
        u64::try_from(integer).map_err(|_| wrong(name, "a non-negative integer"))
    }

    /// A required object.
    pub fn object(&self, name: &str) -> Result<&Self, FieldError> {
        self.required(name)?.as_object().ok_or_else(|| wrong(name, "an object"))
    }

    /// An object that may be absent.
    pub fn optional_object(&self, name: &str) -> Result<Option<&Self>, FieldError> {
        self.get(name).map(|value| value.as_object().ok_or_else(|| wrong(name, "an object"))).transpose()
    }

    /// A required array of strings.
    pub fn strings(&self, name: &str) -> Result<Vec<&str>, FieldError> {
        let values = self.required(name)?.as_array().ok_or_else(|| wrong(name, "an array of strings"))?;
        values.iter().map(|value| value.as_str().ok_or_else(|| wrong(name, "an array of strings"))).collect()
    }

    fn required(&self, name: &str) -> Result<&Value, FieldError> {
        self.get(name).ok_or_else(|| FieldError::Missing(name.to_owned()))
    }
}

impl FromIterator<(String, Value)> for Object {
    fn from_iter<T: IntoIterator<Item = (String, Value)>>(fields: T) -> Self {
        Self(fields.into_iter().collect())
    }
}

fn wrong(name: &str, expected: &'static str) -> FieldError {
    FieldError::Type { name: name.to_owned(), expected }
}

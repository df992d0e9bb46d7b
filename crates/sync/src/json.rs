//! Answers as JSON, written piece by piece: what is stored as JSON is copied, never parsed.

use std::fmt::{Display, Write as _};

/// An answer being written.
#[derive(Debug, Default)]
pub(crate) struct Json(Vec<u8>);

impl Json {
    /// With room for about `bytes`.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// JSON as it is.
    pub(crate) fn raw(&mut self, json: impl AsRef<[u8]>) {
        self.0.extend_from_slice(json.as_ref());
    }

    /// A string.
    pub(crate) fn string(&mut self, text: &str) {
        // Writing to a vector does not fail.
        let _ = serde_json::to_writer(&mut self.0, text);
    }

    /// A string that needs no escapes: an id or a token of ours.
    pub(crate) fn plain(&mut self, text: impl Display) {
        self.0.push(b'"');
        self.number(text);
        self.0.push(b'"');
    }

    /// A number.
    pub(crate) fn number(&mut self, number: impl Display) {
        let _ = write!(self, "{number}");
    }

    /// An object, whose fields `write` adds.
    pub(crate) fn object(&mut self, write: impl FnOnce(&mut Object<'_>)) {
        self.0.push(b'{');
        write(&mut Object { json: self, empty: true });
        self.0.push(b'}');
    }

    /// A list of `items`.
    pub(crate) fn list<T>(&mut self, items: impl IntoIterator<Item = T>, mut write: impl FnMut(&mut Self, T)) {
        self.0.push(b'[');
        for (at, item) in items.into_iter().enumerate() {
            if at > 0 {
                self.0.push(b',');
            }
            write(self, item);
        }
        self.0.push(b']');
    }

    /// What was written.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

impl std::fmt::Write for Json {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// An object being written.
#[derive(Debug)]
pub(crate) struct Object<'a> {
    json: &'a mut Json,
    empty: bool,
}

impl Object<'_> {
    /// Begins the field `name`, whose value the caller writes. `name` may be anything.
    pub(crate) fn field(&mut self, name: &str) -> &mut Json {
        if !std::mem::take(&mut self.empty) {
            self.json.0.push(b',');
        }
        self.json.string(name);
        self.json.0.push(b':');
        self.json
    }

    /// A field with events: `{"events":[…]}`.
    pub(crate) fn events<T>(
        &mut self,
        name: &str,
        events: impl IntoIterator<Item = T>,
        write: impl FnMut(&mut Json, T),
    ) {
        self.field(name).object(|batch| batch.field("events").list(events, write));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_json() {
        let mut json = Json::with_capacity(64);
        json.object(|object| {
            object.field("a\"b").string("c\n");
            object.field("n").number(7);
            object.field("raw").raw(br#"{"x":[1,2]}"#);
            object.field("token").plain("s7");
            object.field("list").list(["x", "y"], Json::string);
            object.events("none", [""; 0], Json::raw);
            object.field("empty").object(|_| {});
        });
        let read: serde_json::Value = serde_json::from_slice(&json.finish()).unwrap();
        let expected = serde_json::json!({
            "a\"b": "c\n", "n": 7, "raw": { "x": [1, 2] }, "token": "s7", "list": ["x", "y"], "none": { "events": [] },
            "empty": {},
        });
        assert_eq!(read, expected);
    }
}

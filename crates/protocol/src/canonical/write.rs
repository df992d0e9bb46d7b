//! Writing canonical JSON: shortest form, sorted keys, no spaces.

use std::fmt::Write as _;

use super::{Object, Value};

pub(super) fn value(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Integer(integer) => out.push_str(&integer.get().to_string()),
        Value::String(text) => string(out, text),
        Value::Array(values) => {
            out.push('[');
            for (index, element) in values.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                self::value(out, element);
            }
            out.push(']');
        }
        Value::Object(fields) => object(out, fields, &[]),
    }
}

/// Writes an object, leaving out the fields named.
pub(super) fn object(out: &mut String, fields: &Object, without: &[&str]) {
    out.push('{');
    let mut first = true;
    for (name, field) in fields.iter().filter(|(name, _)| !without.contains(name)) {
        if !first {
            out.push(',');
        }
        first = false;
        string(out, name);
        out.push(':');
        value(out, field);
    }
    out.push('}');
}

/// Only what must be escaped is, and in the one way the grammar allows.
fn string(out: &mut String, text: &str) {
    out.push('"');
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            '\0'..='\u{1f}' => {
                // Writing to a `String` cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(char));
            }
            _ => out.push(char),
        }
    }
    out.push('"');
}

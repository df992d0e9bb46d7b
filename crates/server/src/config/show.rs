//! The configuration in force as TOML, secrets hidden, each value with the place it comes from.

use std::fmt::Write;

use super::keys::{KEYS, Key, Secrecy, Shape};
use super::layer::{Node, Value, Values};
use super::problem::Place;

/// What stands in the place of a secret.
const HIDDEN: &str = "\"(hidden)\"";

/// The values as a TOML document, tables in the order of the reference.
pub(crate) fn show(values: &Values) -> String {
    let mut text = String::new();
    let mut section = "";
    // Values without a table come first, as TOML has it; [[listen]] is then followed by the other tables.
    for key in KEYS.iter().filter(|key| !key.path.contains('[')) {
        let Some(node) = values.get(key.path) else { continue };
        if let Value::Tables(tables) = &node.value {
            show_tables(&mut text, key, tables);
            continue;
        }
        let (table, name) = key.path.rsplit_once('.').unwrap_or(("", key.path));
        if table != section {
            let _ = write!(text, "\n[{table}]\n");
            section = table;
        }
        let _ = writeln!(text, "{name} = {}{}", shown(key, node), origin(&node.place));
    }
    text
}

fn show_tables(text: &mut String, list: &Key, tables: &[(Place, Values)]) {
    let prefix = format!("{}[].", list.path);
    for (place, table) in tables {
        let _ = write!(text, "\n[[{}]]{}\n", list.path, origin(place));
        for key in KEYS.iter().filter(|key| key.path.starts_with(&prefix)) {
            if let Some(node) = table.get(key.path) {
                let _ = writeln!(text, "{} = {}", &key.path[prefix.len()..], shown(key, node));
            }
        }
    }
}

fn shown(key: &Key, node: &Node) -> String {
    let is_path = matches!(key.shape, Shape::Path | Shape::Paths);
    let resolved = |text: &String| match is_path {
        true => node.place.directory().join(text).to_string_lossy().into_owned(),
        false => text.clone(),
    };
    match (&node.value, key.secrecy) {
        (Value::Texts(texts), Secrecy::Secret) => format!("[{}]", vec![HIDDEN; texts.len()].join(", ")),
        (_, Secrecy::Secret) => HIDDEN.to_owned(),
        (Value::Text(text), Secrecy::Public) => quoted(resolved(text)),
        (Value::Texts(texts), Secrecy::Public) => {
            let items: Vec<String> = texts.iter().map(|text| quoted(resolved(text))).collect();
            format!("[{}]", items.join(", "))
        }
        (Value::Boolean(boolean), Secrecy::Public) => boolean.to_string(),
        (Value::Number(number), Secrecy::Public) => number.to_string(),
        (Value::Tables(_) | Value::Wrong, Secrecy::Public) => String::new(),
    }
}

fn quoted(text: String) -> String {
    toml::Value::String(text).to_string()
}

fn origin(place: &Place) -> String {
    match place {
        Place::Default(_) => String::new(),
        Place::File { .. } | Place::Variable(_) => format!("  # {place}"),
    }
}

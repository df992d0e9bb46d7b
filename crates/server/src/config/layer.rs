//! One layer of the configuration: the values that the defaults, the file or the environment give, each with its place,
//! its name known and its shape right. Layers are laid over each other; what the values mean, `read.rs` finds out.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::keys::{self, KEYS, Key, Shape};
use super::nearest::nearest;
use super::problem::{Place, Problems};

/// What every variable of ours starts with.
const PREFIX: &str = "HOLDFAST_";

/// Variables of ours that are no keys: the configuration's file itself, and the log filter, which must be known before.
pub(crate) const OTHER_VARIABLES: &[&str] = &["HOLDFAST_CONFIG", "HOLDFAST_LOG"];

/// Values by the path of their key.
pub(crate) type Values = BTreeMap<&'static str, Node>;

/// A value and where it stands.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// A value of the shape that its key asks for.
#[derive(Debug)]
pub(crate) enum Value {
    Text(String),
    Boolean(bool),
    Number(u64),
    Texts(Vec<String>),
    Tables(Vec<(Place, Values)>),
    /// Of another shape: reported already, and kept so that it is not called missing as well.
    Wrong,
}

/// The defaults. `directory` is the configuration file's own, or empty without one.
pub(crate) fn defaults(directory: &Path, problems: &mut Problems) -> Values {
    let place = Place::Default(Arc::from(directory));
    let mut values = Values::new();
    for key in KEYS {
        if let Some(default) = key.default {
            let source = Source { place: place.clone(), text: default };
            source.value_of(key, &mut values, problems);
        }
    }
    values
}

/// What the file says, whose content is `text`; `None` when it is not TOML.
pub(crate) fn file(file: &Path, text: &str, problems: &mut Problems) -> Option<Values> {
    let source = Source { place: Place::File { file: Arc::from(file), line: 1 }, text };
    let mut values = Values::new();
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let place = source.place(&error.span().unwrap_or_default());
        problems.add(format!("this is not TOML {place}: {}", error.message()));
    }
    // Past a syntax error the rest may be misread, and complaints about it would mislead.
    if !errors.is_empty() {
        return None;
    }
    source.table("", table.get_ref(), &mut values, problems);
    Some(values)
}

/// What the environment says.
pub(crate) fn environment(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    problems: &mut Problems,
) -> Values {
    let mut ours: Vec<(String, OsString)> = variables
        .into_iter()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| name.starts_with(PREFIX) && !OTHER_VARIABLES.contains(&name.as_str()))
        .collect();
    ours.sort();

    let mut values = Values::new();
    for (name, value) in ours {
        // Two underscores may stand for the dot of a path, as in other servers.
        let canonical = name.replace("__", "_");
        let Some(key) = KEYS.iter().find(|key| keys::variable(key.path).as_deref() == Some(&canonical)) else {
            problems.add(unknown_variable(&name, &canonical));
            continue;
        };
        let Ok(text) = value.into_string() else {
            problems.add(format!("the environment variable {name} is not UTF-8"));
            continue;
        };
        if let Some(earlier) = values.get(key.path) {
            problems.add(format!("`{}` is set twice: {} and in {name}", key.path, earlier.place));
            continue;
        }
        let source = Source { place: Place::Variable(name), text: &text };
        source.value_of(key, &mut values, problems);
    }
    values
}

/// Lays `upper` over `lower`.
pub(crate) fn lay_over(lower: &mut Values, upper: Values) {
    for path in upper.keys() {
        if let Some(twin) = keys::twin(path) {
            lower.remove(twin);
        }
    }
    lower.extend(upper);
}

fn unknown_variable(name: &str, canonical: &str) -> String {
    let known: Vec<String> = KEYS.iter().filter_map(|key| keys::variable(key.path)).collect();
    let candidates = known.iter().map(String::as_str).chain(OTHER_VARIABLES.iter().copied());
    // The common prefix is no part of the likeness.
    let candidates = candidates.filter_map(|known| known.strip_prefix(PREFIX));
    let likeness = nearest(canonical.trim_start_matches(PREFIX), candidates);
    let hint = likeness.map(|nearest| format!(", did you mean `{PREFIX}{nearest}`?")).unwrap_or_default();
    format!("unknown environment variable `{name}`{hint}")
}

/// A text that values are taken from.
struct Source<'a> {
    /// Its beginning.
    place: Place,
    text: &'a str,
}

impl Source<'_> {
    fn place(&self, span: &Range<usize>) -> Place {
        match &self.place {
            Place::File { file, .. } => {
                let before = &self.text.as_bytes()[..span.start.min(self.text.len())];
                let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
                Place::File { file: Arc::clone(file), line }
            }
            other => other.clone(),
        }
    }

    /// Takes the whole text as the value of `key`: as it stands for a string in a variable, else as TOML.
    fn value_of(&self, key: &'static Key, values: &mut Values, problems: &mut Problems) {
        let is_bare = matches!(self.place, Place::Variable(_)) && matches!(key.shape, Shape::Text | Shape::Path);
        if is_bare {
            values.insert(key.path, Node { place: self.place.clone(), value: Value::Text(self.text.to_owned()) });
            return;
        }
        match DeValue::parse(self.text) {
            Ok(value) => self.leaf(key, &value, values, problems),
            Err(_) => problems.add(format!("`{}` {} is not TOML; it must be {}", key.path, self.place, key.allowed)),
        }
    }

    /// Takes what stands in the table `prefix`, in the order of the file.
    fn table(&self, prefix: &str, table: &DeTable<'_>, values: &mut Values, problems: &mut Problems) {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        for (name, value) in entries {
            let path = format!("{prefix}{}", name.get_ref());
            if let Some(key) = keys::find(&path) {
                self.leaf(key, value, values, problems);
                continue;
            }
            let place = self.place(&name.span());
            let inner = format!("{path}.");
            if keys::names_in(&inner).is_empty() {
                problems.add(unknown_key(prefix, name.get_ref(), &place));
            } else if let DeValue::Table(section) = value.get_ref() {
                self.table(&inner, section, values, problems);
            } else {
                problems.add(format!("`{path}` {place} is {}; it must be a table", type_of(value.get_ref())));
            }
        }
    }

    fn leaf(&self, key: &'static Key, value: &Spanned<DeValue<'_>>, values: &mut Values, problems: &mut Problems) {
        let place = self.place(&value.span());
        let shaped = match (key.shape, value.get_ref()) {
            (Shape::Text | Shape::Path, DeValue::String(text)) => Ok(Value::Text(text.to_string())),
            (Shape::Boolean, DeValue::Boolean(boolean)) => Ok(Value::Boolean(*boolean)),
            (Shape::Number, DeValue::Integer(integer)) => number(integer).map(Value::Number),
            (Shape::Texts | Shape::Paths, DeValue::Array(items)) => texts(items.iter()).map(Value::Texts),
            (Shape::Tables, DeValue::Array(items)) => self.tables(key, items.iter(), problems).map(Value::Tables),
            (_, other) => Err(format!("is {}", type_of(other))),
        };
        let value = shaped.unwrap_or_else(|reason| {
            problems.add(format!("`{}` {place} {reason}; it must be {}", key.path, key.allowed));
            Value::Wrong
        });
        values.insert(key.path, Node { place, value });
    }

    fn tables<'v>(
        &self,
        key: &Key,
        items: impl Iterator<Item = &'v Spanned<DeValue<'v>>>,
        problems: &mut Problems,
    ) -> Result<Vec<(Place, Values)>, String> {
        let mut tables = Vec::new();
        for item in items {
            let DeValue::Table(table) = item.get_ref() else {
                return Err(format!("holds {}", type_of(item.get_ref())));
            };
            let mut values = Values::new();
            self.table(&format!("{}[].", key.path), table, &mut values, problems);
            tables.push((self.place(&item.span()), values));
        }
        Ok(tables)
    }
}

fn number(integer: &DeInteger<'_>) -> Result<u64, String> {
    u64::from_str_radix(integer.as_str(), integer.radix()).map_err(|_| format!("is {}", integer.as_str()))
}

fn texts<'v>(items: impl Iterator<Item = &'v Spanned<DeValue<'v>>>) -> Result<Vec<String>, String> {
    items
        .map(|item| match item.get_ref() {
            DeValue::String(text) => Ok(text.to_string()),
            other => Err(format!("holds {}", type_of(other))),
        })
        .collect()
}

fn type_of(value: &DeValue<'_>) -> String {
    let name = value.type_str();
    let article = if name.starts_with(['a', 'i']) { "an" } else { "a" };
    format!("{article} {name}")
}

/// The complaint about a name that is not known in the table `prefix`: with the nearest name of that table, or with the
/// table that knows the name.
fn unknown_key(prefix: &str, name: &str, place: &Place) -> String {
    let hint = if let Some(near) = nearest(name, keys::names_in(prefix)) {
        format!(", did you mean `{prefix}{near}`?")
    } else if let Some(key) = KEYS.iter().find(|key| key.path.rsplit('.').next() == Some(name)) {
        format!(", did you mean `{}`?", key.path)
    } else {
        String::new()
    };
    format!("unknown key `{prefix}{name}` {place}{hint}")
}

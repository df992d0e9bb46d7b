//! The table of what is served (`spec/client-server.md`), made from the routes themselves and from the list of all endpoints
//! beside this file. To write it anew after a change of the routes:
//!
//! `HOLDFAST_WRITE=1 cargo test -p server --lib conformance`

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use super::all_routes;

const ENDPOINTS: &str = include_str!("endpoints.tsv");

/// One line of the list.
struct Endpoint {
    area: &'static str,
    method: &'static str,
    path: &'static str,
    importance: &'static str,
    /// What is to become of it, if it is not served.
    plan: Option<&'static str>,
}

impl Endpoint {
    fn state(&self, served: &BTreeSet<(String, String)>) -> String {
        if served.contains(&(self.method.to_owned(), shape(self.path))) {
            return "served".to_owned();
        }
        self.plan.unwrap_or("not yet").to_owned()
    }
}

fn endpoints() -> Vec<Endpoint> {
    let lines = ENDPOINTS.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let mut cells = line.split('\t');
            let mut next = || cells.next().unwrap_or_else(|| panic!("a short line: {line}"));
            let (area, method, path, importance) = (next(), next(), next(), next());
            Endpoint { area, method, path, importance, plan: cells.next() }
        })
        .collect()
}

/// A path without the names of its parameters, which differ from source to source.
fn shape(path: &str) -> String {
    let parts = path.split('/').map(|part| if part.starts_with('{') && part.ends_with('}') { "{}" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

fn served() -> BTreeSet<(String, String)> {
    let (_, list) = all_routes().into_parts();
    list.into_iter().map(|route| (route.method, shape(route.path))).collect()
}

fn table() -> String {
    let served = served();
    let mut areas: BTreeMap<&str, Vec<Endpoint>> = BTreeMap::new();
    for endpoint in endpoints() {
        areas.entry(endpoint.area).or_default().push(endpoint);
    }
    let mut text = String::from(
        "# What is served of the client-server API\n\n\
         Every endpoint of the [specification at v1.19](https://spec.matrix.org/v1.19/client-server-api/), and those of proposals \
         that clients in use ask for.\nThis file is written by a test from the routes (`crates/server/src/http/conformance/mod.rs`); do not \
         edit it. Importance: 3 every client\nneeds it, 2 many use it, 1 hardly anybody does.\n",
    );
    for (area, endpoints) in areas {
        let _ = write!(text, "\n## {area}\n\n| | endpoint | importance | state |\n| --- | --- | --- | --- |\n");
        for endpoint in endpoints {
            let Endpoint { method, path, importance, .. } = endpoint;
            let path = path.replace('|', "\\|");
            let _ = writeln!(text, "| {method} | `{path}` | {importance} | {} |", endpoint.state(&served));
        }
    }
    text
}

#[test]
fn the_table_says_what_the_routes_do() {
    let file = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/client-server.md"));
    let table = table();
    if std::env::var_os("HOLDFAST_WRITE").is_some() {
        fs::write(&file, &table).unwrap();
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        written == table,
        "spec/client-server.md is not what the routes say; HOLDFAST_WRITE=1 cargo test -p server --lib conformance"
    );
}

#[test]
fn the_list_is_whole_and_says_of_what_is_not_served_why() {
    let all = endpoints();
    assert!(all.len() > 200, "only {} endpoints are listed", all.len());
    let mut seen = BTreeSet::new();
    for Endpoint { method, path, importance, plan, .. } in &all {
        assert!(seen.insert((method, path)), "{method} {path} is listed twice");
        assert!(["1", "2", "3"].contains(importance), "{method} {path}");
        let known = plan.is_none_or(|plan| plan.starts_with("later: ") || plan.starts_with("no: "));
        assert!(known, "{method} {path}: {plan:?}");
    }
}

#[test]
fn what_is_said_not_to_be_served_is_not() {
    let served = served();
    for endpoint in endpoints().iter().filter(|endpoint| endpoint.plan.is_some()) {
        let (method, path) = (endpoint.method, endpoint.path);
        assert_ne!(endpoint.state(&served), "served", "{method} {path} is served: take the reason out of the list");
    }
}

#[test]
fn paths_are_compared_without_the_names_of_their_parameters() {
    assert_eq!(shape("/_matrix/client/v3/user/{userId}/filter"), shape("/_matrix/client/v3/user/{user_id}/filter"));
    assert_ne!(shape("/_matrix/client/v3/a/{b}"), shape("/_matrix/client/v3/a/b"));
}

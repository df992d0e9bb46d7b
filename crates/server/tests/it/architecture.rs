//! The arrows between the crates, kept as the design's table has them: a crate may use those named beside it and no other,
//! so that the repository can be understood, tested and changed crate by crate.

use std::fs;

use crate::harness::repository;

/// Every crate of the design, from the bottom to the top, with what it may use. Crates that are not built yet are listed
/// so that their first line of `Cargo.toml` is already bound.
const MAY_USE: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("protocol", &[]),
    ("net", &["base"]),
    ("storage", &["base"]),
    ("rooms", &["base", "storage"]),
    ("accounts", &["base", "protocol", "storage", "net"]),
    ("federation", &["base", "net", "protocol", "storage", "rooms", "accounts"]),
    ("sync", &["base", "storage", "rooms", "accounts"]),
    ("delivery", &["base", "net", "storage", "rooms", "accounts"]),
    ("media", &["base", "net", "storage", "federation"]),
    ("client", &["base", "net", "protocol"]),
    (
        "server",
        &[
            "base",
            "protocol",
            "net",
            "storage",
            "rooms",
            "accounts",
            "federation",
            "sync",
            "delivery",
            "media",
            "client",
        ],
    ),
    (
        "sim",
        &[
            "base",
            "protocol",
            "net",
            "storage",
            "rooms",
            "accounts",
            "federation",
            "sync",
            "delivery",
            "media",
            "client",
            "server",
        ],
    ),
];

/// What a `Cargo.toml` names in one of its dependency tables, on all targets.
fn dependencies(manifest: &toml::Table, kind: &str) -> Vec<String> {
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let tables = targets.into_iter().flat_map(|targets| targets.values().filter_map(toml::Value::as_table));
    std::iter::once(manifest)
        .chain(tables)
        .filter_map(|table| table.get(kind)?.as_table())
        .flat_map(|table| table.iter().map(|(name, value)| package(name, value)))
        .collect()
}

/// The package behind a dependency's name, which may have been renamed.
fn package(name: &str, value: &toml::Value) -> String {
    value.get("package").and_then(toml::Value::as_str).unwrap_or(name).to_owned()
}

/// What is wrong with the arrows of the crate `name`.
fn wrong_arrows(name: &str, manifest: &toml::Table) -> Vec<String> {
    let is_crate = |used: &str| MAY_USE.iter().any(|(known, _)| *known == used);
    let level = |wanted: &str| MAY_USE.iter().position(|(known, _)| *known == wanted);
    let Some((_, allowed)) = MAY_USE.iter().find(|(known, _)| *known == name) else {
        return vec![format!("crates/{name} is not in the design's table of crates")];
    };
    let mut wrong = Vec::new();
    for kind in ["dependencies", "build-dependencies"] {
        for used in dependencies(manifest, kind).iter().filter(|used| is_crate(used)) {
            if !allowed.contains(&used.as_str()) {
                wrong.push(format!("{name} must not use {used}"));
            }
        }
    }
    // Tests may use more, but not what stands above: else nobody could test a crate without what is built on it.
    for used in dependencies(manifest, "dev-dependencies").iter().filter(|used| is_crate(used)) {
        if level(used) >= level(name) {
            wrong.push(format!("{name}'s tests must not use {used}, which stands above it"));
        }
    }
    wrong
}

#[test]
fn crates_use_only_what_the_design_allows() {
    let mut seen = 0;
    let mut wrong = Vec::new();
    for entry in fs::read_dir(repository().join("crates")).expect("the crates") {
        let folder = entry.expect("a crate").path();
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(folder.join("Cargo.toml")).expect("a manifest");
        let manifest: toml::Table = text.parse().expect("a manifest in TOML");
        assert_eq!(manifest["package"]["name"].as_str(), Some(name.as_str()), "a crate is named as its folder");
        wrong.extend(wrong_arrows(&name, &manifest));
        seen += 1;
    }
    assert!(seen >= 3, "only {seen} crates were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_wrong_arrow_is_noticed_wherever_it_is_written() {
    for (name, manifest) in [
        ("base", "[dependencies]\nstorage.workspace = true"),
        ("rooms", "[dependencies]\naccounts.workspace = true"),
        ("rooms", "[dev-dependencies]\nsync.workspace = true"),
        ("sync", "[target.'cfg(unix)'.dependencies]\nfederation = { path = \"../federation\" }"),
        ("storage", "[build-dependencies]\nnet.workspace = true"),
        ("storage", "[dependencies]\nother = { package = \"rooms\" }"),
        ("unheard_of", ""),
    ] {
        let manifest: toml::Table = manifest.parse().expect("a manifest in TOML");
        assert_eq!(wrong_arrows(name, &manifest).len(), 1, "{name}: {manifest}");
    }
    let manifest: toml::Table =
        "[dependencies]\nbase.workspace = true\nserde = \"1\"".parse().expect("a manifest in TOML");
    assert!(wrong_arrows("storage", &manifest).is_empty());
}

#[test]
fn the_table_has_no_circles() {
    for (place, (name, allowed)) in MAY_USE.iter().enumerate() {
        for used in *allowed {
            let below = MAY_USE[..place].iter().any(|(known, _)| known == used);
            assert!(below, "{name} may use {used}, which does not stand below it");
        }
    }
}

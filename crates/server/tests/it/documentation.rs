//! What the prose claims, held against what is there: files say what they are for, links carry the version of the
//! specification that we follow, paths exist, and the reference has every key.

use std::fs;
use std::path::Path;

use server::config::{KEYS, Secrecy};

use crate::harness::{files, repository};

const SPECIFICATION: &str = "https://spec.matrix.org/";
const VERSION: &str = "v1.19/";

/// The prose of the repository: its Markdown files.
fn prose() -> Vec<std::path::PathBuf> {
    files(&repository(), ".md")
}

#[test]
fn every_source_file_says_what_it_is_for() {
    let sources = files(&repository().join("crates"), ".rs");
    assert!(sources.len() > 20, "only {} source files were found", sources.len());
    let silent: Vec<_> =
        sources.iter().filter(|path| !fs::read_to_string(path).expect("a source file").starts_with("//! ")).collect();
    assert!(silent.is_empty(), "these files do not start with //!: {silent:#?}");
}

#[test]
fn links_to_the_specification_carry_the_version_we_follow() {
    let mut wrong = Vec::new();
    for path in files(&repository(), ".rs").into_iter().chain(prose()) {
        let text = fs::read_to_string(&path).expect("a text file");
        wrong.extend(wrong_links(&text).into_iter().map(|line| format!("{}:{line}", path.display())));
    }
    assert!(wrong.is_empty(), "these links to the specification are not to {VERSION}\n{}", wrong.join("\n"));
}

/// The lines with a link to another version of the specification, or to none.
fn wrong_links(text: &str) -> Vec<usize> {
    let is_wrong =
        |line: &str| line.split(SPECIFICATION).skip(1).any(|rest| !rest.starts_with(VERSION) && !rest.starts_with('"'));
    text.lines().enumerate().filter(|(_, line)| is_wrong(line)).map(|(number, _)| number + 1).collect()
}

#[test]
fn a_link_to_another_version_is_noticed() {
    let (other, ours) = (format!("{SPECIFICATION}latest/appendices/"), format!("{SPECIFICATION}{VERSION}appendices/"));
    assert_eq!(wrong_links(&format!("fine {ours}\nwrong <{other}>\nboth {ours} {other}")), [2, 3]);
}

#[test]
fn paths_that_the_prose_names_exist() {
    let mut missing = Vec::new();
    let mut seen = 0;
    for document in prose() {
        let text = fs::read_to_string(&document).expect("a text file");
        for path in named_paths(&text) {
            seen += 1;
            if !repository().join(&path).exists() {
                missing.push(format!("{}: {path}", document.display()));
            }
        }
    }
    assert!(seen > 0, "no path is named in the prose, so this test looks in the wrong place");
    assert!(missing.is_empty(), "the prose names what is not there:\n{}", missing.join("\n"));
}

/// The paths in backquotes or in links that lead into the repository.
fn named_paths(text: &str) -> Vec<String> {
    const FOLDERS: [&str; 6] = ["crates/", "deploy/", "docs/", "spec/", "tests/", ".ci/"];
    text.split(['`', '(', ')', ' ', '\n', '"', ','])
        .filter(|word| FOLDERS.iter().any(|folder| word.starts_with(folder) && word.len() > folder.len()))
        .filter(|word| !word.contains(['*', '<', '…', '{']))
        .map(|word| word.split('#').next().unwrap_or(word).trim_end_matches(['.', ':', ';']).to_owned())
        .collect()
}

#[test]
fn paths_are_found_in_prose() {
    let text = "See `crates/server/src/main.rs`, [the guide](docs/configuration.md#keys) and deploy/*.toml.";
    assert_eq!(named_paths(text), ["crates/server/src/main.rs", "docs/configuration.md"]);
}

#[test]
fn the_reference_has_every_key_with_its_default_and_what_is_allowed() {
    let reference = fs::read_to_string(repository().join("docs/configuration.md")).expect("the reference");
    let rows: Vec<&str> = reference.lines().filter(|line| line.starts_with("| `")).collect();
    for key in KEYS {
        let row = rows.iter().find(|row| row.starts_with(&format!("| `{}` |", key.path)));
        let row = row.unwrap_or_else(|| panic!("docs/configuration.md has no row for `{}`", key.path));
        let default = key.default.map_or_else(|| "–".to_owned(), |default| format!("`{default}`"));
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        assert_eq!(cells[1], key.allowed, "what `{}` may be, in docs/configuration.md", key.path);
        assert_eq!(cells[2], default, "the default of `{}`, in docs/configuration.md", key.path);
        assert!(cells[3].len() > 10, "docs/configuration.md does not explain `{}`", key.path);
        assert_eq!(cells[3].contains("Secret"), key.secrecy == Secrecy::Secret, "whether `{}` is a secret", key.path);
    }
    let names: Vec<&str> = rows.iter().filter_map(|row| row.split('`').nth(1)).collect();
    for name in names.iter().filter(|name| !name.starts_with("HOLDFAST_")) {
        assert!(KEYS.iter().any(|key| key.path == *name), "docs/configuration.md describes `{name}`, which is no key");
    }
}

#[test]
fn the_example_shows_every_key() {
    let example =
        fs::read_to_string(repository().join(Path::new("deploy/holdfast.example.toml"))).expect("the example");
    for key in KEYS {
        let name = key.path.rsplit(['.']).next().unwrap_or(key.path);
        assert!(example.contains(name), "deploy/holdfast.example.toml does not show `{}`", key.path);
    }
}

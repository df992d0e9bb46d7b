//! `holdfast storage …` on the real binary: with the server running and without, and what it says when it cannot.

use std::fs;
use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{FREE_PORT, Server, ask, command, connect, errors, folder, output};

const CONFIG: &str = r#"
    server_name = "hs1.example.org"
    data_dir = "data"
    [[listen]]
    address = "127.0.0.1:0"
"#;

/// Runs a command on the store that the configuration in `folder` names.
fn storage(folder: &Path, arguments: &[&str]) -> std::process::Output {
    output(command(folder).args(["--config", "holdfast.toml", "storage"]).args(arguments))
}

fn text(output: &std::process::Output) -> String {
    assert!(output.status.success(), "{}", errors(output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn configured(config: &str) -> tempfile::TempDir {
    let folder = folder();
    fs::write(folder.path().join("holdfast.toml"), config).expect("a configuration file");
    folder
}

/// A store that was made by a server which ran once.
fn made(config: &str) -> tempfile::TempDir {
    let place = configured(config);
    run_once(place.path());
    place
}

fn run_once(place: &Path) {
    let server = Server::start_in(place, &[], 1);
    assert_eq!(ask(connect(server.address(0)), "GET", "/health").status, 200);
    server.signal(Signal::TERM);
    assert!(server.ended().success());
}

#[test]
fn a_stopped_store_is_checked_measured_converted_backed_up_and_restored() {
    let place = made(CONFIG);
    let here = place.path();
    assert!(text(&storage(here, &["check"])).contains("nothing is wrong"));
    let stat: Value = serde_json::from_str(&text(&storage(here, &["stat", "--json"]))).unwrap();
    assert_eq!((&stat["engine"], &stat["partitions"]), (&"embedded".into(), &1.into()));
    let rows = |name: &str| {
        let table = stat["tables"].as_array().unwrap().iter().find(|table| table["table"] == name);
        table.and_then(|table| table["rows"].as_u64()).unwrap_or_default()
    };
    assert!(rows("meta") >= 4 && rows("signing_key") == 1, "{stat}");

    assert!(text(&storage(here, &["backup", "kept"])).contains("wrote a backup of"));
    let sled = CONFIG.replace("\"data\"", "\"data-sled\"") + "\n[storage]\nengine = \"sled\"\n";
    fs::write(here.join("holdfast.toml"), &sled).unwrap();
    assert!(text(&storage(here, &["restore", "kept"])).contains("restored"));
    let again = storage(here, &["restore", "kept"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(errors(&again).contains("holds a store of engine \"sled\" already"), "{}", errors(&again));
    run_once(here);

    let said = text(&storage(here, &["convert", "--to-engine", "embedded", "--to-data-dir", "back"]));
    assert!(said.contains("storage.engine = \"embedded\""), "{said}");
    fs::write(here.join("holdfast.toml"), CONFIG.replace("\"data\"", "\"back\"")).unwrap();
    run_once(here);
    assert!(text(&storage(here, &["check"])).contains("nothing is wrong"));
}

#[test]
fn a_running_server_is_asked_over_its_socket() {
    let place = configured(CONFIG);
    let server = Server::start_in(place.path(), &[], 1);
    assert!(text(&storage(place.path(), &["check"])).contains("nothing is wrong"));
    assert!(text(&storage(place.path(), &["stat"])).contains("engine embedded, 1 partition(s)"));
    assert!(text(&storage(place.path(), &["backup", "kept"])).contains("wrote a backup of"));
    assert!(place.path().join("kept/manifest.json").exists(), "relative to where the command was typed");
    let twice = storage(place.path(), &["backup", "kept"]);
    assert_eq!(twice.status.code(), Some(1));
    assert!(errors(&twice).contains("choose a new folder"), "{}", errors(&twice));
    let convert = storage(place.path(), &["convert", "--to-engine", "sled", "--to-data-dir", "other"]);
    assert!(errors(&convert).contains("is in use by another process"), "{}", errors(&convert));
    let second = output(command(place.path()).args(["--config", "holdfast.toml"]).env("HOLDFAST_LISTEN", FREE_PORT));
    assert_eq!(second.status.code(), Some(1));
    assert!(errors(&second).contains("is in use by another process (process "), "{}", errors(&second));
    server.signal(Signal::TERM);
    assert!(server.ended().success());
    assert!(!place.path().join("data/control.sock").exists());
}

#[test]
fn a_store_that_is_not_there_is_not_made_by_looking() {
    let place = configured(CONFIG);
    for arguments in [["check", "--json"].as_slice(), &["stat"], &["backup", "kept"]] {
        let failed = storage(place.path(), arguments);
        assert_eq!(failed.status.code(), Some(1));
        assert!(errors(&failed).contains("there is no store in"), "{}", errors(&failed));
    }
    assert!(!place.path().join("data").exists());
    let memory = configured(&format!("{CONFIG}\n[storage]\nengine = \"memory\"\n"));
    assert!(errors(&storage(memory.path(), &["check"])).contains("keeps nothing"));
}

#[test]
fn a_damaged_store_is_named_and_goes_on_only_when_the_loss_is_accepted() {
    let place = made(CONFIG);
    fs::remove_file(place.path().join("data/acknowledged")).unwrap();
    let refused = output(command(place.path()).args(["--config", "holdfast.toml"]));
    assert_eq!(refused.status.code(), Some(1));
    assert!(errors(&refused).contains("--accept-loss"), "{}", errors(&refused));
    let server = Server::start_in(place.path(), &["serve", "--accept-loss"], 1);
    server.signal(Signal::TERM);
    assert!(server.ended().success());
    run_once(place.path());
}

#[test]
fn killed_servers_leave_a_socket_that_the_next_one_replaces() {
    let place = configured(CONFIG);
    let server = Server::start_in(place.path(), &[], 1);
    server.signal(Signal::KILL);
    assert!(!server.ended().success());
    assert!(place.path().join("data/control.sock").exists());
    let server = Server::start_in(place.path(), &[], 1);
    assert!(text(&storage(place.path(), &["check"])).contains("nothing is wrong"));
    drop(server);
}

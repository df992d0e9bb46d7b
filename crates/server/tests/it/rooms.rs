//! `holdfast rooms …`, on a store and on a running server.

use std::fs;

use rustix::process::Signal;

use crate::harness::{Server, command, errors, folder, output};

const CONFIG: &str = r#"
    server_name = "hs1.example.org"
    data_dir = "data"
    [[listen]]
    address = "127.0.0.1:0"
"#;

#[test]
fn events_set_aside_are_listed_on_a_store_and_by_a_running_server() {
    let place = folder();
    fs::write(place.path().join("holdfast.toml"), CONFIG).unwrap();
    let quarantine = |arguments: &[&str]| {
        let all = ["--config", "holdfast.toml", "rooms", "quarantine"];
        output(command(place.path()).args(all.iter().chain(arguments)))
    };
    let none = quarantine(&["list"]);
    assert_eq!(none.status.code(), Some(1));
    assert!(errors(&none).contains("there is no store in"), "{}", errors(&none));
    assert!(!place.path().join("data").exists(), "looking makes no store");

    let server = Server::start_in(place.path(), &[], 1);
    let check = || {
        let listed = quarantine(&["list"]);
        assert!(listed.status.success(), "{}", errors(&listed));
        assert!(String::from_utf8_lossy(&listed.stdout).contains("0 events are set aside"));
        assert_eq!(String::from_utf8_lossy(&quarantine(&["list", "--json"]).stdout).trim(), "[]");
        for what in ["show", "replay"] {
            let unknown = quarantine(&[what, &"0".repeat(64)]);
            assert_eq!(unknown.status.code(), Some(1));
            assert!(errors(&unknown).contains("no event of this name"), "{}", errors(&unknown));
            let malformed = quarantine(&[what, "that one"]);
            assert!(errors(&malformed).contains("64 hex digits"), "{}", errors(&malformed));
        }
    };
    check();
    server.signal(Signal::TERM);
    assert!(server.ended().success());
    check();
}

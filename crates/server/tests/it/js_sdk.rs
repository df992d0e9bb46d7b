//! Real clients: `tests/js-sdk` drives the running binary with matrix-js-sdk and its Rust crypto. Skipped, with the reason
//! printed, where there is no Node or its packages are not installed.

use std::process::{Command, Stdio};

use crate::harness::{Server, folder, repository};

const CONFIG: &str = "server_name = \"localhost\"\nlisten = [{ address = \"127.0.0.1:0\" }]\n\
     [registration]\nmode = \"open\"\n[passwords]\ncost = \"low\"\n[limits]\nenabled = false\n";

#[test]
fn two_people_with_three_devices_chat_encrypted_with_the_js_sdk() {
    let tests = repository().join("tests/js-sdk");
    if !tests.join("node_modules").is_dir() {
        println!("skipped: `npm ci` was not run in tests/js-sdk");
        return;
    }
    let has_node = Command::new("node").arg("--version").stdout(Stdio::null()).status().is_ok_and(|it| it.success());
    if !has_node {
        println!("skipped: there is no node");
        return;
    }
    let server = Server::start(folder(), CONFIG, &[], 1);
    let url = format!("http://{}", server.address(0));
    let output = Command::new("node").arg("chat.mjs").arg(&url).current_dir(tests).output().expect("node runs");
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert!(
        output.status.success() && said.lines().last() == Some("done"),
        "{}\n{}",
        String::from_utf8_lossy(&output.stderr),
        server.log()
    );
}

//! Listeners: plain and TLS, what they answer, and what they survive.

use std::io::{Read, Write};
use std::net::TcpListener;

use base::{Clock, limits};
use rustls::NamedGroup;
use serde_json::json;

use crate::certificates::Authority;
use crate::harness::{self, Server, ask, connect, folder};

#[test]
fn without_a_configuration_localhost_is_served() {
    let server = Server::plain();
    let address = server.address(0);
    assert_eq!(server.ready[0], format!("holdfast serves localhost on http://{address}"));

    let versions = ask(connect(address), "GET", "/_matrix/client/versions");
    assert_eq!(versions.status, 200);
    assert!(versions.head.contains("content-type: application/json"), "{}", versions.head);
    assert!(versions.head.contains("access-control-allow-origin: *"), "{}", versions.head);
    let listed = versions.body["versions"].as_array().expect("a list");
    assert!(listed.contains(&json!("v1.1")) && listed.contains(&json!("v1.19")), "{listed:?}");

    let health = ask(connect(address), "GET", "/health");
    assert_eq!((health.status, health.body), (200, json!({ "status": "ok" })));
    let unknown = ask(connect(address), "GET", "/_matrix/client/v3/unheard_of");
    assert_eq!((unknown.status, &unknown.body["errcode"]), (404, &json!("M_UNRECOGNIZED")));
    let wrong = ask(connect(address), "POST", "/_matrix/client/versions");
    assert_eq!((wrong.status, &wrong.body["errcode"]), (405, &json!("M_UNRECOGNIZED")));
}

#[test]
fn every_listener_serves_everything_and_tls_agrees_on_post_quantum_keys() {
    let folder = folder();
    let authority = Authority::new(folder.path());
    let config = r#"
        server_name = "hs1.example.org"
        [[listen]]
        address = "127.0.0.1:0"
        [[listen]]
        address = "127.0.0.1:0"
        tls = { certificate = "server.pem", key = "server.key" }
    "#;
    let server = Server::start(folder, config, &[], 2);
    assert!(server.ready[1].starts_with("holdfast serves hs1.example.org on https://127.0.0.1:"), "{:?}", server.ready);
    let plain = ask(connect(server.address(0)), "GET", "/_matrix/client/versions");

    let stream = authority.connect(server.address(1), &["http/1.1"]);
    let group = stream.conn.negotiated_key_exchange_group().map(rustls::crypto::SupportedKxGroup::name);
    assert_eq!(group, Some(NamedGroup::X25519MLKEM768));
    let over_tls = ask(stream, "GET", "/_matrix/client/versions");
    assert_eq!((over_tls.status, &over_tls.body), (200, &plain.body));
}

#[test]
fn http2_is_spoken_with_who_offers_it() {
    let folder = folder();
    let authority = Authority::new(folder.path());
    let listen = "[{ address = \"127.0.0.1:0\", tls = { certificate = \"server.pem\", key = \"server.key\" } }]";
    let server = Server::start(folder, "", &[("HOLDFAST_LISTEN", listen)], 1);
    let mut stream = authority.connect(server.address(0), &["h2", "http/1.1"]);
    assert_eq!(stream.conn.alpn_protocol(), Some(&b"h2"[..]));

    // The greeting, empty settings, then GET /health as static-table fields (RFC 7541, appendix A) on stream 1.
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").expect("a greeting");
    stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).expect("settings");
    let mut head = vec![0x82, 0x86, 0x04, 7];
    head.extend(b"/health");
    head.extend([0x01, 9]);
    head.extend(b"localhost");
    let length = u8::try_from(head.len()).expect("a short head");
    stream.write_all(&[0, 0, length, 1, 0x05, 0, 0, 0, 1]).expect("a frame");
    stream.write_all(&head).expect("a head");

    let mut seen = Vec::new();
    let mut buffer = [0; 1024];
    while !String::from_utf8_lossy(&seen).contains("{\"status\":\"ok\"}") {
        let read = stream.read(&mut buffer).expect("an answer");
        assert!(read > 0, "the connection ended after {seen:?}");
        seen.extend(&buffer[..read]);
    }
}

#[test]
fn silent_and_garbled_connections_do_not_delay_others() {
    let folder = folder();
    let authority = Authority::new(folder.path());
    let listen = "[{ address = \"127.0.0.1:0\", tls = { certificate = \"server.pem\", key = \"server.key\" } }]";
    let server = Server::start(folder, "", &[("HOLDFAST_LISTEN", listen)], 1);
    let address = server.address(0);

    let silent: Vec<_> = (0..20).map(|_| connect(address)).collect();
    let garbled: Vec<_> = (0..20).map(|_| connect(address)).collect();
    for mut stream in &garbled {
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n\x16\x03\x01\xff\xff").expect("nonsense");
    }
    let clock = Clock::system();
    let before = clock.monotonic();
    let answer = ask(authority.connect(address, &["http/1.1"]), "GET", "/health");
    let took = clock.monotonic().since(before);
    assert_eq!(answer.status, 200);
    assert!(took < limits::TLS_HANDSHAKE_TIMEOUT / 2, "the answer took {took:?}");
    drop(silent);
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    let server = Server::plain();
    let mut stream = connect(server.address(0));
    let filler = "x".repeat(2 * limits::HTTP_HEAD_BYTES);
    // The server may answer and close before it has read all of this.
    let _ = write!(stream, "GET /health HTTP/1.1\r\nHost: localhost\r\nX-Filler: {filler}\r\n\r\n");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(ask(connect(server.address(0)), "GET", "/health").status, 200);
}

#[test]
fn a_port_in_use_is_named_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address");
    let folder = folder();
    let config = format!("server_name = \"a\"\n[[listen]]\naddress = \"{address}\"\n");
    std::fs::write(folder.path().join("holdfast.toml"), config).expect("a configuration file");
    let output = harness::output(harness::command(folder.path()).args(["serve", "--config", "holdfast.toml"]));
    assert_eq!(output.status.code(), Some(1), "later the port may be free, so trying again can help");
    let errors = harness::errors(&output);
    assert!(errors.contains(&format!("cannot listen on {address} (at holdfast.toml:2)")), "{errors}");
    assert!(errors.contains("is in use by another program"), "{errors}");
    assert!(errors.contains("choose another port"), "{errors}");
    let second =
        harness::output(harness::command(folder.path()).env("HOLDFAST_LISTEN", "[{ address = \"192.0.2.1:1\" }]"));
    assert!(harness::errors(&second).contains("this machine has no address 192.0.2.1"), "{}", harness::errors(&second));
}

//! Stopping: what is in flight is finished, what is idle is not waited for, and nothing lasts for ever.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use base::{Clock, limits};
use rustix::process::Signal;

use crate::harness::{FREE_PORT, PATIENCE, Server, answer, ask, connect, folder};

#[test]
fn a_signal_stops_an_idle_server_at_once() {
    for signal in [Signal::TERM, Signal::INT] {
        let server = Server::plain();
        // One connection that never asked, and one that was answered and is kept open.
        let silent = connect(server.address(0));
        let mut kept = connect(server.address(0));
        kept.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("a request");
        kept.read_exact(&mut [0; 64]).expect("the beginning of an answer");
        let clock = Clock::system();
        let before = clock.monotonic();
        server.signal(signal);
        assert_eq!(server.ended().code(), Some(0));
        let took = clock.monotonic().since(before);
        assert!(took < Duration::from_secs(3), "stopping took {took:?}");
        drop(silent);
    }
}

#[test]
fn a_request_in_flight_is_answered_before_the_server_ends() {
    let server = Server::plain();
    let address = server.address(0);
    let mut stream = connect(address);
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: local").expect("half a request");
    // By the time these are answered, the half is read.
    for _ in 0..10 {
        assert_eq!(ask(connect(address), "GET", "/health").status, 200);
    }
    server.signal(Signal::TERM);
    while TcpStream::connect(address).is_ok() {
        std::thread::yield_now();
    }
    stream.write_all(b"host\r\n\r\n").expect("the other half");
    assert_eq!(answer(stream).status, 200);
    assert_eq!(server.ended().code(), Some(0));
}

#[test]
fn a_request_that_never_ends_is_cut_at_the_deadline() {
    let server = Server::plain();
    let address = server.address(0);
    let mut stream = connect(address);
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: local").expect("half a request");
    for _ in 0..10 {
        assert_eq!(ask(connect(address), "GET", "/health").status, 200);
    }
    let clock = Clock::system();
    let before = clock.monotonic();
    server.signal(Signal::TERM);
    assert_eq!(server.ended().code(), Some(0));
    let took = clock.monotonic().since(before);
    assert!(took >= limits::STOP_TIMEOUT && took < limits::STOP_TIMEOUT * 2, "stopping took {took:?}");
}

#[test]
fn a_second_signal_ends_the_server_at_once() {
    let server = Server::plain();
    let address = server.address(0);
    let mut stream = connect(address);
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: local").expect("half a request");
    for _ in 0..10 {
        assert_eq!(ask(connect(address), "GET", "/health").status, 200);
    }
    let clock = Clock::system();
    let before = clock.monotonic();
    server.signal(Signal::TERM);
    while !server.log().contains("stopping;") {
        std::thread::yield_now();
    }
    server.signal(Signal::TERM);
    assert_eq!(server.ended().code(), Some(130));
    let took = clock.monotonic().since(before);
    assert!(took < limits::STOP_TIMEOUT / 2, "stopping took {took:?}");
}

#[test]
fn the_service_manager_learns_of_start_and_stop() {
    let folder = folder();
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).expect("a socket");
    manager.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let receive = || {
        let mut buffer = [0; 256];
        let length = manager.recv(&mut buffer).expect("a message");
        String::from_utf8_lossy(&buffer[..length]).trim_end().to_owned()
    };
    let socket = path.to_string_lossy().into_owned();
    let server = Server::start(folder, "", &[("HOLDFAST_LISTEN", FREE_PORT), ("NOTIFY_SOCKET", &socket)], 1);
    assert_eq!(receive(), "READY=1");
    server.signal(Signal::TERM);
    assert_eq!(receive(), "STOPPING=1");
    assert_eq!(server.ended().code(), Some(0));
}

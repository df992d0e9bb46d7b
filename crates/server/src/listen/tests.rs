//! What connections may cost: their number, and the patience with silent ones. Time is virtual where it is waited for.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use base::shutdown::{self, ShutdownTrigger};
use base::{Clock, limits, task};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use super::connection::Connection;
use super::{Gate, Listener, Serving, bind, tls};
use crate::config::{Listen, Place, TlsFiles};
use crate::http::App;

const ANYWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A server of one route, and what stops it.
struct Fixture {
    serving: Serving,
    stop: ShutdownTrigger,
    /// Kept, because to drop it is to cut every connection.
    cut: ShutdownTrigger,
}

impl Fixture {
    fn new(slots: usize) -> Self {
        let (stop, stopped) = shutdown::channel();
        let (cut, was_cut) = shutdown::channel();
        let app = App::bare(Router::new().route("/", get(async || "answer")));
        let serving =
            Serving { app, gate: Gate::with_slots(slots), clock: Clock::system(), stop: stopped, cut: was_cut };
        Self { serving, stop, cut }
    }

    async fn listen(&self) -> SocketAddr {
        let listen = Listen { address: ANYWHERE, tls: None, place: Place::Variable("a test".to_owned()) };
        let listener: Listener = bind(&listen, None).await.expect("a free port");
        let address = listener.address;
        task::spawn(listener.accept(self.serving.clone()));
        address
    }

    fn connection(&self) -> Connection {
        Connection { serving: self.serving.clone(), tls: None, peer: ANYWHERE }
    }
}

async fn answered(stream: &mut TcpStream) -> bool {
    let mut buffer = [0; 1024];
    let read = stream.read(&mut buffer).await.expect("an answer");
    buffer[..read].ends_with(b"answer")
}

#[tokio::test]
async fn past_the_limit_connections_wait_until_one_leaves() {
    let fixture = Fixture::new(2);
    let address = fixture.listen().await;
    let mut first = TcpStream::connect(address).await.expect("a connection");
    let mut second = TcpStream::connect(address).await.expect("a connection");
    for stream in [&mut first, &mut second] {
        stream.write_all(REQUEST).await.expect("a request");
        assert!(answered(stream).await);
    }
    let mut third = TcpStream::connect(address).await.expect("the operating system's queue takes it");
    third.write_all(REQUEST).await.expect("a request");
    let clock = Clock::system();
    assert!(clock.timeout(Duration::from_millis(200), third.readable()).await.is_none(), "answered past the limit");
    drop(first);
    assert!(answered(&mut third).await);
}

#[tokio::test]
async fn the_gate_counts_who_is_left() {
    let fixture = Fixture::new(5);
    let address = fixture.listen().await;
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(REQUEST).await.expect("a request");
    assert!(answered(&mut stream).await);

    let Serving { gate, clock, .. } = &fixture.serving;
    // The accept loop holds a place for whom it waits for, which is why it is stopped before anybody counts.
    assert_eq!(gate.emptied(clock, Duration::from_millis(50)).await, 2);
    fixture.stop.start();
    assert_eq!(gate.emptied(clock, Duration::from_secs(10)).await, 0);
    fixture.cut.start();
}

/// How long `serving` lasts in virtual time.
async fn lasts(clock: &Clock, serving: impl Future<Output = ()>) -> Duration {
    let before = clock.monotonic();
    clock.timeout(Duration::from_secs(3_600), serving).await.expect("the connection was kept for an hour");
    clock.monotonic().since(before)
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_nothing_over_http1_is_sent_away() {
    let fixture = Fixture::new(1);
    let (mut client, server) = tokio::io::duplex(1 << 16);
    client.write_all(b"GET / HT").await.expect("the beginning of a request");
    let lasted = lasts(&fixture.serving.clock, fixture.connection().http1(server)).await;
    assert_eq!(lasted.as_secs(), limits::HTTP_HEAD_TIMEOUT.as_secs());
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_nothing_over_http2_is_sent_away() {
    let fixture = Fixture::new(1);
    let (mut client, server) = tokio::io::duplex(1 << 16);
    client.write_all(b"PRI * HT").await.expect("the beginning of a greeting");
    let lasted = lasts(&fixture.serving.clock, fixture.connection().http2(server)).await;
    assert_eq!(lasted.as_secs(), limits::HTTP_HEAD_TIMEOUT.as_secs());
}

#[tokio::test(start_paused = true)]
async fn who_does_not_finish_a_handshake_is_sent_away() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let files = TlsFiles { certificate: folder.path().join("pem"), key: folder.path().join("key") };
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    fs::write(&files.certificate, made.cert.pem()).expect("a file");
    fs::write(&files.key, made.signing_key.serialize_pem()).expect("a file");
    let acceptor = TlsAcceptor::from(tls::load(&files).expect("a certificate"));

    let fixture = Fixture::new(1);
    let socket = TcpListener::bind(ANYWHERE).await.expect("a port");
    let silent = TcpStream::connect(socket.local_addr().expect("an address")).await.expect("a connection");
    let (server, _) = socket.accept().await.expect("a connection");
    let connection = Connection { tls: Some(acceptor), ..fixture.connection() };
    let lasted = lasts(&fixture.serving.clock, connection.run(server)).await;
    assert_eq!(lasted.as_secs(), limits::TLS_HANDSHAKE_TIMEOUT.as_secs());
    drop(silent);
}

/// Tells that it was dropped.
struct Guard(mpsc::Sender<&'static str>);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.try_send("dropped");
    }
}

#[tokio::test]
async fn handlers_end_with_the_connection_that_is_cut() {
    let (sender, mut events) = mpsc::channel(2);
    let handler = async move || {
        let guard = Guard(sender);
        let _ = guard.0.try_send("entered");
        std::future::pending::<&'static str>().await
    };
    let mut fixture = Fixture::new(1);
    fixture.serving.app = App::bare(Router::new().route("/", get(handler)));
    let (mut client, server) = tokio::io::duplex(1 << 16);
    // HTTP/2's greeting, empty settings, and GET / as fields of its static table (RFC 7541, appendix A).
    client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("a greeting");
    client.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.expect("settings");
    client.write_all(&[0, 0, 6, 1, 5, 0, 0, 0, 1, 0x82, 0x86, 0x84, 0x01, 1, b'x']).await.expect("a head");

    let connection = fixture.connection();
    let serving = task::spawn(async move { connection.http2(server).await });
    assert_eq!(events.recv().await, Some("entered"));
    fixture.cut.start();
    let clock = Clock::system();
    let event = clock.timeout(Duration::from_secs(10), events.recv()).await;
    assert_eq!(event, Some(Some("dropped")), "the handler outlived the cut");
    serving.abort();
}

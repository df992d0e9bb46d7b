//! The way out: which addresses are taken, and servers on loopback that answer, hang, flood and lead elsewhere.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use base::{Clock, task};
use bytes::Bytes;
use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::filter::PrivateAddresses;
use crate::transport::Redirects;
use crate::{AddressFilter, Client, ClientOptions, Error, Request, Response, Transport};

#[test]
fn addresses_that_only_this_machine_reaches_are_refused() {
    let filter = AddressFilter::new(PrivateAddresses::Refused);
    for refused in [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:c0a8:101::1",
        "3fff::1",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ] {
        assert!(!filter.allows(refused.parse().unwrap()), "{refused}");
    }
    for allowed in [
        "1.1.1.1",
        "100.63.255.255",
        "100.128.0.1",
        "172.15.0.1",
        "172.32.0.1",
        "192.0.1.1",
        "192.167.1.1",
        "198.20.0.1",
        "223.255.255.254",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
        "2001:4860:4860::8888",
        "2002:808:808::1",
        "2606:4700::1111",
    ] {
        assert!(filter.allows(allowed.parse().unwrap()), "{allowed}");
    }
}

#[test]
fn exceptions_and_a_network_of_ones_own_are_let_through_but_never_what_is_nobodys() {
    let one: IpAddr = "10.0.0.1".parse().unwrap();
    let filter = AddressFilter::new(PrivateAddresses::Refused).with_exceptions([one]);
    assert!(filter.allows(one) && !filter.allows("10.0.0.2".parse().unwrap()));
    let filter = AddressFilter::new(PrivateAddresses::Allowed);
    for address in ["10.0.0.1", "127.0.0.1", "::1", "fd00::1", "8.8.8.8"] {
        assert!(filter.allows(address.parse().unwrap()), "{address}");
    }
    for address in ["0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "ff02::1", "::ffff:0.0.0.0"] {
        assert!(!filter.allows(address.parse().unwrap()), "{address}");
    }
}

fn client(filter: AddressFilter) -> Client {
    let clock = Clock::system();
    let options = ClientOptions { filter, extra_certificates: Vec::new(), user_agent: "holdfast".to_owned(), clock };
    Client::new(options).unwrap()
}

fn local() -> Client {
    client(AddressFilter::new(PrivateAddresses::Allowed))
}

/// Answers every request on a connection with `answer`, and sends what was asked.
async fn server(answer: impl Into<String>) -> (SocketAddr, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    let answer = answer.into().replace("{address}", &address.to_string());
    task::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = vec![0; 65_536];
            let read = stream.read(&mut head).await.unwrap();
            let _ = sender.send(String::from_utf8_lossy(&head[..read]).into_owned());
            let _ = stream.write_all(answer.as_bytes()).await;
            if answer.is_empty() {
                // Hold it open and say nothing.
                task::spawn(async move { while stream.read(&mut head).await.is_ok_and(|read| read > 0) {} });
            }
        }
    });
    (address, receiver)
}

async fn get(client: &Client, uri: impl AsRef<str>, change: impl FnOnce(&mut Request)) -> Result<Response, Error> {
    let mut request = Request::new(Method::GET, uri.as_ref().parse().unwrap());
    change(&mut request);
    client.send(request).await
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";

#[tokio::test]
async fn a_request_is_carried_with_its_body_and_the_answer_read_whatever_its_status() {
    let (address, mut asked) = server("HTTP/1.1 418 Teapot\r\nX-A: b\r\nContent-Length: 2\r\n\r\n{}").await;
    let mut request = Request::new(Method::POST, format!("http://{address}/a?b").parse().unwrap());
    request.body = Bytes::from_static(b"body");
    request.headers.insert("x-mine", "yes".parse().unwrap());
    let answer = local().send(request).await.unwrap();
    assert_eq!(
        (answer.status.as_u16(), &answer.body[..], &answer.headers["x-a"]),
        (418, &b"{}"[..], &"b".parse().unwrap())
    );
    let asked = asked.recv().await.unwrap().to_lowercase();
    assert!(asked.starts_with("post /a?b http/1.1\r\n") && asked.ends_with("\r\n\r\nbody"), "{asked}");
    assert!(asked.contains("x-mine: yes") && asked.contains("user-agent: holdfast"), "{asked}");
}

#[tokio::test]
async fn this_machine_is_not_asked_by_name_nor_by_any_spelling_of_its_address() {
    let (address, mut asked) = server(OK).await;
    let port = address.port();
    let strict = client(AddressFilter::default());
    for host in
        ["localhost", "127.0.0.1", "127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "[::1]", "[::ffff:127.0.0.1]"]
    {
        let refused = get(&strict, format!("http://{host}:{port}/"), |_| {}).await.unwrap_err();
        assert!(matches!(refused, Error::Forbidden { .. }), "{host}: {refused}");
        assert!(!refused.is_unavailable());
    }
    assert!(asked.try_recv().is_err(), "nothing was connected to");
    let excepted = client(AddressFilter::default().with_exceptions([address.ip()]));
    assert_eq!(get(&excepted, format!("http://localhost:{port}/"), |_| {}).await.unwrap().body, "hello");
}

#[tokio::test]
async fn an_answer_past_its_bound_and_one_that_never_comes_are_given_up() {
    let (large, _) = server(OK).await;
    let refused = get(&local(), format!("http://{large}/"), |request| request.answer_bytes = 4).await.unwrap_err();
    assert!(matches!(refused, Error::TooLarge { most: 4, .. }), "{refused}");
    let (silent, _) = server("").await;
    let short = Duration::from_millis(50);
    let late = get(&local(), format!("http://{silent}/"), |request| request.deadline = short).await.unwrap_err();
    assert!(matches!(late, Error::Late { .. }) && late.is_unavailable(), "{late}");
}

#[tokio::test]
async fn redirects_are_answers_unless_they_are_to_be_followed_and_then_filtered_and_counted() {
    let (target, _) = server(OK).await;
    let to = |target: String| {
        format!("HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    };
    let (there, _) = server(to(format!("http://{target}/x"))).await;
    assert_eq!(get(&local(), format!("http://{there}/"), |_| {}).await.unwrap().status.as_u16(), 302);
    let follow = |request: &mut Request| request.redirects = Redirects::Follow(2);
    assert_eq!(get(&local(), format!("http://{there}/"), follow).await.unwrap().body, "hello");

    let (round, mut asked) = server(to("/again".to_owned())).await;
    let refused = get(&local(), format!("http://{round}/"), follow).await.unwrap_err();
    assert!(matches!(refused, Error::TooManyRedirects { .. }), "{refused}");
    assert_eq!((0..3).filter(|_| asked.try_recv().is_ok()).count(), 3);

    let (inside, _) = server(to("http://169.254.169.254/latest".to_owned())).await;
    let excepted = client(AddressFilter::default().with_exceptions([inside.ip()]));
    let refused = get(&excepted, format!("http://{inside}/"), follow).await.unwrap_err();
    assert!(matches!(refused, Error::Forbidden { .. }), "{refused}");
}

#[tokio::test]
async fn what_is_no_address_is_refused_and_what_is_away_is_away() {
    for wrong in ["/path", "ftp://example.org/", "gopher://example.org/"] {
        let refused = get(&local(), wrong, |_| {}).await.unwrap_err();
        assert!(matches!(refused, Error::NotAnAddress { .. }), "{wrong}: {refused}");
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let away = get(&local(), format!("http://{address}/"), |_| {}).await.unwrap_err();
    assert!(matches!(away, Error::Connection { .. }) && away.is_unavailable(), "{away}");
    assert!(!away.to_string().contains(&address.port().to_string()), "{away}");
    let nowhere = get(&local(), "http://nowhere.invalid/", |_| {}).await.unwrap_err();
    assert!(matches!(nowhere, Error::Resolve { .. }) && nowhere.is_unavailable(), "{nowhere}");
}

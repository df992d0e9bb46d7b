//! The limiter on a clock that stands still unless it is moved.

use axum::http::Method;
use base::Timestamp;

use super::*;
use crate::http::test_app::{TestApp, nobody};

#[tokio::test(start_paused = true)]
async fn a_burst_is_let_through_and_then_one_at_a_time() {
    let clock = Clock::simulated(Timestamp(0));
    let limiter = Limiter::new(true, clock.clone());
    let (step, burst) = Class::Send.step_and_burst();
    for _ in 0..burst {
        limiter.take(Class::Send, "alice").unwrap();
    }
    assert_eq!(limiter.wait_for(Class::Send, "alice"), Some(step));
    limiter.take(Class::Send, "bob").unwrap();
    limiter.take(Class::Join, "alice").unwrap();

    clock.sleep(step).await;
    limiter.take(Class::Send, "alice").unwrap();
    let wait = limiter.wait_for(Class::Send, "alice").unwrap();
    assert!(wait <= step, "{wait:?}");
    clock.sleep(step * burst).await;
    for _ in 0..burst {
        limiter.take(Class::Send, "alice").unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn the_table_stays_within_its_bound() {
    let clock = Clock::simulated(Timestamp(0));
    let limiter = Limiter::new(true, clock.clone());
    for who in 0..2 * limits::LIMITED_KEYS {
        limiter.take(Class::Login, who).unwrap();
        assert!(who % 1_000 != 0 || limiter.len() <= limits::LIMITED_KEYS);
    }
    assert!(limiter.len() > 0 && limiter.len() <= limits::LIMITED_KEYS);
}

#[test]
fn requests_fall_into_their_classes_under_any_version_of_their_path() {
    for (method, route, class) in [
        ("PUT", "/_matrix/client/v3/rooms/{room_id}/send/{event_type}/{txn_id}", Class::Send),
        ("PUT", "/_matrix/client/r0/rooms/{room_id}/state/{event_type}/{state_key}", Class::Send),
        ("GET", "/_matrix/client/r0/rooms/{room_id}/state/{event_type}/{state_key}", Class::General),
        ("POST", "/_matrix/client/v3/join/{room_id_or_alias}", Class::Join),
        ("POST", "/_matrix/client/v3/rooms/{room_id}/invite", Class::Invite),
        ("POST", "/_matrix/client/v3/createRoom", Class::Create),
        ("PUT", "/_matrix/client/v3/sendToDevice/{event_type}/{txn_id}", Class::ToDevice),
        ("POST", "/_matrix/media/v3/upload", Class::Upload),
        ("POST", "/_matrix/client/v3/user_directory/search", Class::Search),
        ("GET", "/_matrix/client/v3/sync", Class::General),
    ] {
        assert_eq!(of_user(&Method::try_from(method).unwrap(), route), class, "{method} {route}");
    }
    for (method, path, class) in [
        ("POST", "/_matrix/client/v3/login", Some(Class::Login)),
        ("GET", "/_matrix/client/v3/login", None),
        ("POST", "/_matrix/client/r0/register", Some(Class::Register)),
        ("GET", "/_matrix/client/v3/register/available", Some(Class::Available)),
        ("POST", "/_matrix/client/v3/account/password/email/requestToken", Some(Class::Available)),
        ("GET", "/_matrix/client/v3/sync", None),
        ("POST", "/login", None),
    ] {
        assert_eq!(of_address(&Method::try_from(method).unwrap(), path), class, "{method} {path}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_asks_too_much_is_told_when_to_come_back_and_nobody_else_notices() {
    let app = TestApp::with(&[("HOLDFAST_LIMITS_ENABLED", "true")]).await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let path = "/_matrix/client/v3/capabilities";
    let (_, burst) = Class::General.step_and_burst();
    for _ in 0..burst {
        app.get(&alice, path).await.ok();
    }
    let answer = app.get(&alice, path).await;
    assert_eq!(answer.headers["retry-after"], "1");
    let wait = answer.refused(429, "M_LIMIT_EXCEEDED")["retry_after_ms"].as_u64().unwrap();
    app.get(&bob, path).await.ok();
    app.wait(Duration::from_millis(wait + 1)).await;
    app.get(&alice, path).await.ok();
}

#[tokio::test(start_paused = true)]
async fn logins_count_for_the_address_that_a_trusted_proxy_names() {
    let app =
        TestApp::with(&[("HOLDFAST_LIMITS_ENABLED", "true"), ("HOLDFAST_TRUSTED_PROXIES", r#"["0.0.0.0"]"#)]).await;
    let login = async |from: &str| {
        let request = axum::extract::Request::post("/_matrix/client/v3/login").header("x-forwarded-for", from);
        app.ask(request.body("{".into()).unwrap()).await.status
    };
    let (_, burst) = Class::Login.step_and_burst();
    for _ in 0..burst {
        assert_ne!(login("192.0.2.1").await, 429);
    }
    assert_eq!(login("192.0.2.1").await, 429);
    assert_ne!(login("192.0.2.2").await, 429);
    app.get(&nobody(), "/_matrix/client/versions").await.ok();
}

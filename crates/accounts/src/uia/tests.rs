//! Proofs, right and wrong.

use base::{Timestamp, limits};
use ruma::api::client::uiaa::UiaaInfo;
use serde_json::value::to_raw_value;
use serde_json::{Value, json};

use super::{Asked, Attempt, Proven, Stage};
use crate::accounts::Accounts;
use crate::error::{Error, Refusal};
use crate::fixture::{accounts, user};
use crate::registration::TokenTerms;

fn attempt(auth: &Value) -> Attempt {
    Attempt::parse(&to_raw_value(auth).unwrap()).unwrap()
}

async fn challenge(accounts: &Accounts, asked: Asked<'_>, auth: Option<Value>) -> UiaaInfo {
    let attempt = auth.as_ref().map(attempt);
    match accounts.prove(asked, attempt.as_ref()).await {
        Err(Error::MoreAuth(info)) => *info,
        other => panic!("{other:?}"),
    }
}

fn password(user: &str, password: &str, session: Option<&str>) -> Value {
    let identifier = json!({ "type": "m.id.user", "user": user });
    json!({ "type": "m.login.password", "identifier": identifier, "password": password, "session": session })
}

#[tokio::test]
async fn a_password_is_asked_for_and_taken_in_the_session_of_the_operation() {
    let accounts = accounts().await;
    let alice = user(&accounts, "alice").await;
    user(&accounts, "bob").await;
    let asked = Asked::of_user("delete device A", &alice.user_id);
    let info = challenge(&accounts, asked, None).await;
    let body = serde_json::to_value(&info).unwrap();
    assert_eq!(body["flows"], json!([{ "stages": ["m.login.password"] }]));
    assert_eq!(body["params"], json!({}));
    assert_eq!(body.get("errcode"), None);
    let session = info.session.as_deref();

    let wrong = challenge(&accounts, asked, Some(password("alice", "wrong", session))).await;
    assert_eq!(wrong.session.as_deref(), session, "the session goes on");
    assert_eq!(serde_json::to_value(&wrong).unwrap()["errcode"], "M_FORBIDDEN");

    for (asked, auth) in [
        (Asked::of_user("delete device B", &alice.user_id), password("alice", "secret", session)),
        (asked, password("bob", "secret", session)),
    ] {
        let outcome = accounts.prove(asked, Some(&attempt(&auth))).await;
        assert!(matches!(outcome, Err(Error::Refused(Refusal::Forbidden { .. }))), "{outcome:?}");
    }
    let right = attempt(&password("@alice:example.org", "secret", session));
    assert_eq!(accounts.prove(asked, Some(&right)).await.unwrap(), Proven::default());
    let again = challenge(&accounts, asked, Some(password("alice", "secret", session))).await;
    assert_ne!(again.session.as_deref(), session, "one proof is good for one operation");
}

#[tokio::test]
async fn the_first_request_may_prove_everything_at_once_and_in_the_old_form() {
    let accounts = accounts().await;
    let alice = user(&accounts, "alice").await;
    let auth = json!({ "type": "m.login.password", "user": "alice", "password": "secret" });
    let asked = Asked::of_user("anything", &alice.user_id);
    assert!(accounts.prove(asked, Some(&attempt(&auth))).await.is_ok());
    assert_eq!(accounts.uia.len(), 0, "nothing is kept");

    let dummy = Asked { operation: "register", user: None, flows: &[&[Stage::Dummy]] };
    assert!(accounts.prove(dummy, Some(&attempt(&json!({ "type": "m.login.dummy" })))).await.is_ok());
}

#[tokio::test]
async fn stages_add_up_in_a_session() {
    let accounts = accounts().await;
    accounts.put_registration_token("welcome", TokenTerms::default()).await.unwrap();
    let flows: &[&[Stage]] = &[&[Stage::RegistrationToken, Stage::Dummy]];
    let asked = Asked { operation: "register", user: None, flows };
    let session = challenge(&accounts, asked, Some(json!({}))).await.session;
    let wrong = json!({ "type": "m.login.registration_token", "token": "nonsense", "session": session });
    assert!(challenge(&accounts, asked, Some(wrong)).await.auth_error.is_some());
    let token = json!({ "type": "m.login.registration_token", "token": "welcome", "session": session });
    let half = challenge(&accounts, asked, Some(token)).await;
    assert_eq!(serde_json::to_value(&half).unwrap()["completed"], json!(["m.login.registration_token"]));
    let dummy = attempt(&json!({ "type": "m.login.dummy", "session": session }));
    let proven = accounts.prove(asked, Some(&dummy)).await.unwrap();
    assert_eq!(proven.registration_token.as_deref(), Some("welcome"));
}

#[tokio::test]
async fn stages_that_are_not_asked_for_prove_nothing() {
    let accounts = accounts().await;
    let alice = user(&accounts, "alice").await;
    let asked = Asked::of_user("anything", &alice.user_id);
    let email = json!({ "type": "m.id.thirdparty", "medium": "email", "address": "a@example.org" });
    for auth in [
        json!({ "type": "m.login.dummy" }),
        json!({ "type": "m.login.sso" }),
        json!({ "type": "m.login.password", "identifier": email, "password": "secret" }),
        json!({ "session": "never was" }),
    ] {
        challenge(&accounts, asked, Some(auth)).await;
    }
    for auth in [json!([]), json!({ "type": 7 }), json!({ "type": "m.login.password" })] {
        assert!(Attempt::parse(&to_raw_value(&auth).unwrap()).is_err(), "{auth}");
    }
}

#[tokio::test(start_paused = true)]
async fn sessions_expire_and_are_bounded() {
    let accounts = accounts().await;
    let dummy = Asked { operation: "register", user: None, flows: &[&[Stage::Dummy]] };
    let session = challenge(&accounts, dummy, None).await.session;
    accounts.store().clock().sleep(limits::UIA_LIFETIME).await;
    let late = json!({ "session": session });
    assert!(challenge(&accounts, dummy, Some(late)).await.auth_error.is_some());
    for _ in 0..limits::UIA_SESSIONS + 10 {
        challenge(&accounts, dummy, None).await;
    }
    assert_eq!(accounts.uia.len(), limits::UIA_SESSIONS);
}

#[tokio::test]
async fn an_expired_registration_token_proves_nothing() {
    let accounts = accounts().await;
    let terms = TokenTerms { expires: Some(Timestamp(1)), ..TokenTerms::default() };
    accounts.put_registration_token("old", terms).await.unwrap();
    let asked = Asked { operation: "register", user: None, flows: &[&[Stage::RegistrationToken]] };
    let auth = json!({ "type": "m.login.registration_token", "token": "old" });
    assert!(challenge(&accounts, asked, Some(auth)).await.auth_error.is_some());
}

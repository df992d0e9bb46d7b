//! Who may make an account, and who may not.

use std::sync::Arc;

use base::{Secret, Timestamp, limits};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use serde_json::value::to_raw_value;
use sha1::Sha1;
use storage::MemoryDisk;

use super::{Guests, RegistrationMode, RegistrationOptions, SecretRegistration, TokenTerms, WantedAccount};
use crate::account::register::{Registered, Role};
use crate::accounts::Accounts;
use crate::error::{Error, Refusal};
use crate::fixture::{options, store};
use crate::uia::Attempt;

async fn with(registration: RegistrationOptions) -> Arc<Accounts> {
    let mut options = options();
    options.registration = registration;
    Accounts::new(store(&MemoryDisk::new()).await, options)
}

async fn in_mode(mode: RegistrationMode) -> Arc<Accounts> {
    with(RegistrationOptions { mode, ..RegistrationOptions::default() }).await
}

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

fn wanted(name: &str) -> WantedAccount {
    WantedAccount { username: Some(name.to_owned()), password: Some(secret("secret")), device: None }
}

fn dummy() -> Attempt {
    Attempt::parse(&to_raw_value(&json!({ "type": "m.login.dummy" })).unwrap()).unwrap()
}

fn token(token: &str) -> Attempt {
    let auth = json!({ "type": "m.login.registration_token", "token": token });
    Attempt::parse(&to_raw_value(&auth).unwrap()).unwrap()
}

fn code(outcome: Result<Registered, Error>) -> &'static str {
    match outcome {
        Err(Error::Refused(refusal)) => refusal.code(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn closed_is_closed_and_open_is_open() {
    let accounts = in_mode(RegistrationMode::Closed).await;
    assert_eq!(code(accounts.register_by_user(wanted("alice"), Some(&dummy())).await), "M_FORBIDDEN");

    let accounts = in_mode(RegistrationMode::Open).await;
    assert!(matches!(accounts.register_by_user(wanted("alice"), None).await, Err(Error::MoreAuth(_))));
    let alice = accounts.register_by_user(wanted("alice"), Some(&dummy())).await.unwrap();
    assert_eq!(alice.user_id, "@alice:example.org");
    let again = accounts.register_by_user(wanted("alice"), None).await;
    assert_eq!(code(again), "M_USER_IN_USE", "told before anything is to be proven");
    let bare = WantedAccount { password: None, ..wanted("bob") };
    assert_eq!(code(accounts.register_by_user(bare, Some(&dummy())).await), "M_MISSING_PARAM");
    let empty = WantedAccount { password: Some(secret("")), ..wanted("bob") };
    assert_eq!(code(accounts.register_by_user(empty, Some(&dummy())).await), "M_WEAK_PASSWORD");
}

#[tokio::test]
async fn a_token_is_good_for_as_many_accounts_as_it_says() {
    let accounts = in_mode(RegistrationMode::Token).await;
    let terms = TokenTerms { uses_allowed: Some(2), expires: None };
    accounts.put_registration_token("two", terms).await.unwrap();
    let names = ["alice", "bob", "carol", "dave"];
    let attempt = token("two");
    let attempts = names.map(|name| accounts.register_by_user(wanted(name), Some(&attempt)));
    let [a, b, c, d] = attempts;
    let (a, b, c, d) = tokio::join!(a, b, c, d);
    assert_eq!([a, b, c, d].iter().filter(|outcome| outcome.is_ok()).count(), 2, "also at the same time");
    assert!(!accounts.registration_token_is_valid("two").await.unwrap());
    assert_eq!(accounts.registration_tokens().await.unwrap()[0].used, 2);
    assert!(matches!(accounts.register_by_user(wanted("erin"), Some(&token("two"))).await, Err(Error::MoreAuth(_))));
    assert!(matches!(accounts.register_by_user(wanted("erin"), Some(&dummy())).await, Err(Error::MoreAuth(_))));
}

#[tokio::test]
async fn a_token_expires_is_changed_and_deleted() {
    let accounts = in_mode(RegistrationMode::Token).await;
    let terms = TokenTerms { uses_allowed: None, expires: Some(Timestamp(1)) };
    accounts.put_registration_token("old", terms).await.unwrap();
    assert!(!accounts.registration_token_is_valid("old").await.unwrap());
    accounts.put_registration_token("old", TokenTerms::default()).await.unwrap();
    assert!(accounts.registration_token_is_valid("old").await.unwrap());
    assert!(accounts.delete_registration_token("old").await.unwrap());
    assert!(!accounts.delete_registration_token("old").await.unwrap());
    for odd in ["", "a b", "ä", &"x".repeat(65)] {
        assert!(accounts.put_registration_token(odd, TokenTerms::default()).await.is_err());
        assert!(!accounts.registration_token_is_valid(odd).await.unwrap());
    }
}

#[tokio::test]
async fn tokens_of_the_configuration_are_made_once() {
    let tokens = vec![secret("first"), secret("second")];
    let accounts = with(RegistrationOptions { tokens, ..RegistrationOptions::default() }).await;
    accounts.make_configured_tokens().await.unwrap();
    let terms = TokenTerms { uses_allowed: Some(1), expires: None };
    accounts.put_registration_token("first", terms).await.unwrap();
    accounts.make_configured_tokens().await.unwrap();
    let tokens = accounts.registration_tokens().await.unwrap();
    assert_eq!(tokens.iter().map(|token| token.token.as_str()).collect::<Vec<_>>(), ["first", "second"]);
    assert_eq!(tokens[0].terms, terms, "what was changed since stays");
}

#[tokio::test]
async fn guests_come_where_they_are_welcome() {
    let accounts = in_mode(RegistrationMode::Open).await;
    assert_eq!(code(accounts.register_guest(None).await), "M_GUEST_ACCESS_FORBIDDEN");
    let accounts = with(RegistrationOptions { guests: Guests::Welcome, ..RegistrationOptions::default() }).await;
    let guest = accounts.register_guest(Some("kiosk".to_owned())).await.unwrap().session.unwrap();
    let device = accounts.device(&guest.user_id, &guest.device_id).await.unwrap().unwrap();
    assert_eq!(device.display_name.as_deref(), Some("kiosk"));
}

fn mac(secret: &str, parts: &[&str]) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(parts.join("\0").as_bytes());
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn registration(nonce: &str, role: Role, mac: String) -> SecretRegistration {
    let (nonce, username, password) = (nonce.to_owned(), "alice".to_owned(), secret("pass"));
    SecretRegistration { nonce, username, password, display_name: None, role, user_type: None, mac, device: None }
}

#[tokio::test(start_paused = true)]
async fn who_knows_the_secret_makes_accounts_with_each_nonce_once() {
    let shared_secret = Some(secret("complement"));
    let accounts = with(RegistrationOptions { shared_secret, ..RegistrationOptions::default() }).await;
    let admin = |nonce: &str, key: &str| registration(nonce, Role::Admin, mac(key, &[nonce, "alice", "pass", "admin"]));
    let nonce = accounts.registration_nonce().unwrap();
    assert_eq!(code(accounts.register_with_secret(admin(&nonce, "guessed")).await), "M_FORBIDDEN");
    let nonce = accounts.registration_nonce().unwrap();
    let raised = registration(&nonce, Role::Admin, mac("complement", &[&nonce, "alice", "pass", "notadmin"]));
    assert_eq!(code(accounts.register_with_secret(raised).await), "M_FORBIDDEN", "the code is over the role");
    assert_eq!(code(accounts.register_with_secret(admin(&nonce, "complement")).await), "M_INVALID_PARAM");
    let late = accounts.registration_nonce().unwrap();
    accounts.store().clock().sleep(limits::NONCE_LIFETIME).await;
    assert_eq!(code(accounts.register_with_secret(admin(&late, "complement")).await), "M_INVALID_PARAM");
    let nonce = accounts.registration_nonce().unwrap();
    let odd = registration(&nonce, Role::User, "zz".to_owned());
    assert_eq!(code(accounts.register_with_secret(odd).await), "M_FORBIDDEN");

    let nonce = accounts.registration_nonce().unwrap();
    let made = accounts.register_with_secret(admin(&nonce, "complement")).await.unwrap();
    assert!(accounts.account(&made.user_id).await.unwrap().unwrap().0.admin);
}

#[tokio::test]
async fn without_a_secret_there_is_no_such_endpoint() {
    let accounts = in_mode(RegistrationMode::Open).await;
    assert!(matches!(accounts.registration_nonce(), Err(Refusal::WrongEndpoint { .. })));
    let outcome = accounts.register_with_secret(registration("", Role::User, mac("", &["", "alice"]))).await;
    assert_eq!(code(outcome), "M_UNRECOGNIZED");
}

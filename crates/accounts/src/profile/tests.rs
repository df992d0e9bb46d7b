//! Profiles, and finding people by them.

use base::{Position, limits};
use ruma::user_id;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use super::{PROFILE_CHANGED, ProfileLog};
use crate::account::Erase;
use crate::accounts::Accounts;
use crate::error::{Error, Refusal};
use crate::fixture::{accounts, user};
use storage::Record;

fn raw(value: &Value) -> Box<RawValue> {
    to_raw_value(value).unwrap()
}

async fn set(accounts: &Accounts, user: &ruma::UserId, field: &str, value: Value) -> Result<(), Error> {
    accounts.set_profile_field(user, field, &raw(&value)).await
}

async fn fields(accounts: &Accounts, user: &ruma::UserId) -> Value {
    serde_json::to_value(accounts.profile(user).await.unwrap().unwrap().fields).unwrap()
}

async fn found(accounts: &Accounts, term: &str) -> Vec<String> {
    let found = accounts.search_directory(term).await.unwrap();
    found.into_iter().map(|entry| entry.user_id.localpart().to_owned()).collect()
}

#[tokio::test]
async fn fields_are_set_read_and_taken_away() {
    let accounts = accounts().await;
    let alice = user(&accounts, "alice").await.user_id;
    assert_eq!(fields(&accounts, &alice).await, json!({}));
    set(&accounts, &alice, "displayname", json!("Alice")).await.unwrap();
    set(&accounts, &alice, "avatar_url", json!("mxc://example.org/a")).await.unwrap();
    set(&accounts, &alice, "org.example.job", json!({ "title": "cook" })).await.unwrap();
    let profile = accounts.profile(&alice).await.unwrap().unwrap();
    assert_eq!(profile.display_name().as_deref(), Some("Alice"));
    assert_eq!(profile.avatar_url().as_deref(), Some("mxc://example.org/a"));
    assert_eq!(profile.fields["org.example.job"].get(), r#"{"title":"cook"}"#);

    set(&accounts, &alice, "displayname", json!("")).await.unwrap();
    set(&accounts, &alice, "avatar_url", json!(null)).await.unwrap();
    accounts.delete_profile_field(&alice, "org.example.job").await.unwrap();
    accounts.delete_profile_field(&alice, "org.example.job").await.unwrap();
    assert_eq!(fields(&accounts, &alice).await, json!({}));
    assert!(accounts.profile(user_id!("@nobody:example.org")).await.unwrap().is_none());
}

#[tokio::test]
async fn each_change_is_told_once() {
    let accounts = accounts().await;
    let alice = user(&accounts, "alice").await.user_id;
    for _ in 0..2 {
        set(&accounts, &alice, "displayname", json!("Alice")).await.unwrap();
    }
    let partition = accounts.store().partition_of(alice.as_str());
    let entries = accounts.store().log_entries(partition, Position::START, Position(1_000), 1_000).await.unwrap();
    let told: Vec<ProfileLog> = entries
        .iter()
        .filter(|entry| entry.kind == PROFILE_CHANGED)
        .map(|entry| ProfileLog::decode(&entry.payload).unwrap())
        .collect();
    assert_eq!(told, [ProfileLog { user: alice, field: "displayname".to_owned() }]);
}

#[tokio::test]
async fn what_is_too_large_or_of_the_wrong_kind_is_refused() {
    let accounts = accounts().await;
    let alice = user(&accounts, "alice").await.user_id;
    let large = "x".repeat(limits::PROFILE_BYTES / 2);
    set(&accounts, &alice, "org.a", json!(large)).await.unwrap();
    let long = "x".repeat(256);
    for (field, value, code) in [
        ("org.b", json!(large), "M_PROFILE_TOO_LARGE"),
        (long.as_str(), json!(1), "M_KEY_TOO_LARGE"),
        ("", json!(1), "M_INVALID_PARAM"),
        ("job", json!(1), "M_INVALID_PARAM"),
        (".job", json!(1), "M_INVALID_PARAM"),
        ("org.Job", json!(1), "M_INVALID_PARAM"),
        ("displayname", json!(7), "M_BAD_JSON"),
        ("displayname", json!("x".repeat(257)), "M_INVALID_PARAM"),
        ("avatar_url", json!({}), "M_BAD_JSON"),
    ] {
        match set(&accounts, &alice, field, value).await {
            Err(Error::Refused(refusal)) => assert_eq!(refusal.code(), code),
            other => panic!("{field}: {other:?}"),
        }
    }
    set(&accounts, &alice, "org.a", json!(1)).await.unwrap();
    set(&accounts, &alice, "org.b", json!(large)).await.unwrap();
}

#[tokio::test]
async fn people_are_found_by_the_words_of_their_names_and_ids() {
    let accounts = accounts().await;
    let anna = user(&accounts, "anna.k").await.user_id;
    let bert = user(&accounts, "bert").await.user_id;
    assert_eq!(found(&accounts, "bert").await, ["bert"], "by the id, before there is a name");
    set(&accounts, &anna, "displayname", json!("Änna Müller")).await.unwrap();
    set(&accounts, &bert, "displayname", json!("Annabert")).await.unwrap();
    assert_eq!(found(&accounts, "ÄNN").await, ["anna.k"]);
    assert_eq!(found(&accounts, "mü änn").await, ["anna.k"], "every word, in any order");
    assert_eq!(found(&accounts, "müller bert").await, Vec::<String>::new());
    assert_eq!(found(&accounts, "@anna.k:example.org").await, ["anna.k"]);
    assert_eq!(found(&accounts, "anna").await, ["bert", "anna.k"]);
    assert_eq!(found(&accounts, "").await, Vec::<String>::new());
    assert_eq!(found(&accounts, " .!\u{0}").await, Vec::<String>::new());

    set(&accounts, &bert, "displayname", json!("Egon")).await.unwrap();
    assert_eq!(found(&accounts, "annabert").await, Vec::<String>::new(), "the old name leads nowhere");
    assert_eq!(found(&accounts, "ego").await, ["bert"]);
}

#[tokio::test]
async fn who_is_deactivated_has_no_profile_and_is_not_found() {
    let accounts = accounts().await;
    let alice = user(&accounts, "alice").await.user_id;
    set(&accounts, &alice, "displayname", json!("Wonder")).await.unwrap();
    accounts.deactivate(&alice, Erase::No).await.unwrap();
    assert!(accounts.profile(&alice).await.unwrap().is_none());
    assert_eq!(found(&accounts, "wonder").await, Vec::<String>::new());
    assert_eq!(found(&accounts, "alice").await, Vec::<String>::new());
    let outcome = set(&accounts, &alice, "displayname", json!("Back")).await;
    assert!(matches!(outcome, Err(Error::Refused(Refusal::Deactivated))));
}

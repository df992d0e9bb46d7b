//! Messages arrive once, in order, and only where they should: also when requests are repeated and the power is cut.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base::{Partition, Position, Random, limits};
use proptest::prelude::*;
use ruma::serde::Raw;
use ruma::to_device::DeviceIdOrAllDevices;
use ruma::{OwnedDeviceId, OwnedUserId, UserId};
use serde_json::{Value, json};
use storage::table::{TO_DEVICE, TO_DEVICE_SENT as SENT_TABLE};
use storage::{Direction, Faults, KeyRange, MemoryDisk, Record};

use crate::accounts::Accounts;
use crate::error::{Error, Refusal};
use crate::fixture::{accounts, login, options, store, user};
use crate::to_device::{DeviceMessages, Sending, TO_DEVICE_SENT, ToDeviceLog};
use crate::{LoggedIn, NewDevice, Which};

/// The end of everything that can be.
const END: Position = Position(u64::MAX - 1);

fn message(to: &[(&UserId, &str, Value)]) -> DeviceMessages<Value> {
    let mut messages = DeviceMessages::new();
    for (user, device, content) in to {
        let device = DeviceIdOrAllDevices::try_from(*device).unwrap();
        let content = Raw::new(content).unwrap();
        messages.entry((*user).to_owned()).or_default().insert(device, content);
    }
    messages
}

async fn send(
    accounts: &Accounts,
    from: &LoggedIn,
    transaction: &str,
    messages: &DeviceMessages<Value>,
) -> Result<(), Error> {
    let transaction = transaction.into();
    let sending = Sending { user: &from.user_id, device: &from.device_id, kind: "m.dummy", transaction };
    accounts.send_to_device(sending, messages).await
}

/// What waits for a device, as JSON.
async fn inbox(accounts: &Accounts, of: &LoggedIn) -> Vec<Value> {
    let found = accounts.to_device(&of.user_id, &of.device_id, [Position::START, END], 1_000).await.unwrap();
    found.messages.iter().map(|message| serde_json::from_str(message.get()).unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_message_arrives_as_it_was_sent_with_its_type_and_sender() {
    let accounts = accounts().await;
    let (alice, bob) = (user(&accounts, "alice").await, user(&accounts, "bob").await);
    let content = json!({ "body": "\"quoted\"", "n": 1.5 });
    let messages = message(&[(&bob.user_id, bob.device_id.as_str(), content.clone())]);
    send(&accounts, &alice, "1", &messages).await.unwrap();
    let expected = json!({ "type": "m.dummy", "sender": alice.user_id, "content": content });
    assert_eq!(inbox(&accounts, &bob).await, [expected]);
    assert!(inbox(&accounts, &alice).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn all_devices_of_a_user_get_what_is_for_all_but_those_that_are_named() {
    let accounts = accounts().await;
    let alice = user(&accounts, "alice").await;
    let phone = user(&accounts, "bob").await;
    let laptop = login(&accounts, &phone.user_id, NewDevice::default()).await;
    let bob = &phone.user_id;
    let messages =
        message(&[(bob, "*", json!({ "to": "all" })), (bob, phone.device_id.as_str(), json!({ "to": "phone" }))]);
    send(&accounts, &alice, "1", &messages).await.unwrap();
    let contents =
        |found: Vec<Value>| found.into_iter().map(|event| event["content"]["to"].clone()).collect::<Vec<_>>();
    assert_eq!(contents(inbox(&accounts, &phone).await), ["phone"]);
    assert_eq!(contents(inbox(&accounts, &laptop).await), ["all"]);
}

#[tokio::test(start_paused = true)]
async fn a_repeated_request_does_nothing_for_a_day_and_is_then_forgotten() {
    let accounts = accounts().await;
    let (alice, bob) = (user(&accounts, "alice").await, user(&accounts, "bob").await);
    let messages = message(&[(&bob.user_id, "*", json!({}))]);
    send(&accounts, &alice, "1", &messages).await.unwrap();
    accounts.store().clock().sleep(Duration::from_secs(23 * 60 * 60)).await;
    send(&accounts, &alice, "1", &messages).await.unwrap();
    assert_eq!(inbox(&accounts, &bob).await.len(), 1);
    // Another device's, another type's and another id are other requests.
    let other = login(&accounts, &alice.user_id, NewDevice::default()).await;
    send(&accounts, &other, "1", &messages).await.unwrap();
    send(&accounts, &alice, "2", &messages).await.unwrap();
    assert_eq!(inbox(&accounts, &bob).await.len(), 3);
    accounts.store().clock().sleep(Duration::from_secs(49 * 60 * 60)).await;
    accounts.forget_sent_to_device().await.unwrap();
    let rows = accounts.store().scan(&KeyRange::table(SENT_TABLE), Direction::Forward, 10).await.unwrap();
    assert!(rows.rows.is_empty());
}

#[tokio::test(start_paused = true)]
async fn messages_to_who_is_not_there_are_dropped() {
    let accounts = accounts().await;
    let alice = user(&accounts, "alice").await;
    let (nobody, far) = (ruma::user_id!("@nobody:example.org"), ruma::user_id!("@bob:far.example"));
    let long = "x".repeat(500);
    let messages = message(&[
        (&alice.user_id, "GONE", json!({})),
        (&alice.user_id, &long, json!({})),
        (nobody, "*", json!({})),
        (far, "*", json!({})),
    ]);
    send(&accounts, &alice, "1", &messages).await.unwrap();
    let rows = accounts.store().scan(&KeyRange::table(TO_DEVICE), Direction::Forward, 10).await.unwrap();
    assert!(rows.rows.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_log_says_whose_devices_have_something() {
    let accounts = accounts().await;
    let (alice, bob) = (user(&accounts, "alice").await, user(&accounts, "bob").await);
    let before = accounts.store().watch(Partition(0)).unwrap().head();
    send(&accounts, &alice, "1", &message(&[(&bob.user_id, "*", json!({}))])).await.unwrap();
    let entries = accounts.store().log_entries(Partition(0), before, END, 10).await.unwrap();
    let [entry] = &entries[..] else { panic!("{entries:?}") };
    assert_eq!(entry.kind, TO_DEVICE_SENT);
    let told = ToDeviceLog { user: bob.user_id.clone(), devices: vec![bob.device_id.clone()] };
    assert_eq!(ToDeviceLog::decode(&entry.payload), Ok(told));
    // Nothing of one message shows in the other's position.
    let found = accounts.to_device(&bob.user_id, &bob.device_id, [before, before], 10).await.unwrap();
    assert!(found.messages.is_empty());
}

#[tokio::test(start_paused = true)]
async fn pages_end_where_the_next_begins_and_what_is_acknowledged_goes() {
    let accounts = accounts().await;
    let (alice, bob) = (user(&accounts, "alice").await, user(&accounts, "bob").await);
    for n in 0..5 {
        let messages = message(&[(&bob.user_id, bob.device_id.as_str(), json!({ "n": n }))]);
        send(&accounts, &alice, &n.to_string(), &messages).await.unwrap();
    }
    let head = accounts.store().watch(Partition(0)).unwrap().head();
    let (mut since, mut seen) = (Position::START, Vec::new());
    for expected in [2, 2, 1] {
        let page = accounts.to_device(&bob.user_id, &bob.device_id, [since, head], 2).await.unwrap();
        assert_eq!(page.messages.len(), expected);
        seen.extend(
            page.messages
                .iter()
                .map(|message| serde_json::from_str::<Value>(message.get()).unwrap()["content"]["n"].as_u64().unwrap()),
        );
        since = page.next;
    }
    assert_eq!((since, seen), (head, vec![0, 1, 2, 3, 4]));
    assert_eq!(inbox(&accounts, &bob).await.len(), 5, "reading alone removes nothing");
    accounts.acknowledge_to_device(&bob.user_id, &bob.device_id, since).await.unwrap();
    accounts.store().clock().sleep(Duration::from_secs(1)).await;
    assert!(inbox(&accounts, &bob).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_device_that_logged_out_finds_nothing_under_its_old_id() {
    let accounts = accounts().await;
    let (alice, bob) = (user(&accounts, "alice").await, user(&accounts, "bob").await);
    send(&accounts, &alice, "1", &message(&[(&bob.user_id, "*", json!({}))])).await.unwrap();
    accounts.logout(&bob.user_id, Which::All).await.unwrap();
    let again = NewDevice { id: Some(bob.device_id.clone()), ..NewDevice::default() };
    let again = login(&accounts, &bob.user_id, again).await;
    assert!(inbox(&accounts, &again).await.is_empty());
    accounts.sweep_leftovers().await.unwrap();
    let rows = accounts.store().scan(&KeyRange::table(TO_DEVICE), Direction::Forward, 10).await.unwrap();
    assert!(rows.rows.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_full_inbox_keeps_what_it_has_and_takes_no_more_until_it_is_read() {
    let accounts = accounts().await;
    let (alice, bob) = (user(&accounts, "alice").await, user(&accounts, "bob").await);
    let big = "x".repeat(60_000);
    let event = json!({ "type": "m.dummy", "sender": alice.user_id, "content": { "n": 1_000, "big": big } });
    let bytes = u64::try_from(event.to_string().len()).unwrap();
    let most = usize::try_from(limits::TO_DEVICE_WAITING_BYTES.div_ceil(bytes)).unwrap();
    for n in 0..most + 5 {
        let messages = message(&[(&bob.user_id, "*", json!({ "n": 1_000 + n, "big": big }))]);
        send(&accounts, &alice, &n.to_string(), &messages).await.unwrap();
    }
    let found = inbox(&accounts, &bob).await;
    assert_eq!(found.len(), most);
    assert!(found.iter().enumerate().all(|(at, message)| message["content"]["n"] == 1_000 + at));
    // A process that starts anew counts.
    let accounts = Accounts::new(accounts.store_handle(), options());
    send(&accounts, &alice, "more", &message(&[(&bob.user_id, "*", json!({}))])).await.unwrap();
    assert_eq!(inbox(&accounts, &bob).await.len(), most);
    let head = accounts.store().watch(Partition(0)).unwrap().head();
    accounts.acknowledge_to_device(&bob.user_id, &bob.device_id, head).await.unwrap();
    send(&accounts, &alice, "again", &message(&[(&bob.user_id, "*", json!({}))])).await.unwrap();
    accounts.store().clock().sleep(Duration::from_secs(1)).await;
    assert_eq!(inbox(&accounts, &bob).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_message_or_too_much_is_refused_whole() {
    let accounts = accounts().await;
    let alice = user(&accounts, "alice").await;
    let refused = async |messages| match send(&accounts, &alice, "1", &messages).await {
        Err(Error::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    };
    let good = (&*alice.user_id, alice.device_id.as_str(), json!({}));
    let other = ruma::user_id!("@a:example.org");
    assert!(matches!(
        refused(message(&[good.clone(), (&alice.user_id, "*", json!([]))])).await,
        Refusal::BadJson { .. }
    ));
    let large = json!({ "a": "x".repeat(70_000) });
    assert!(matches!(refused(message(&[good, (other, "*", large)])).await, Refusal::TooLarge { .. }));
    assert!(inbox(&accounts, &alice).await.is_empty());
    let many: BTreeMap<DeviceIdOrAllDevices, Raw<Value>> = (0..=limits::TO_DEVICE_MESSAGES)
        .map(|n| (OwnedDeviceId::from(format!("D{n}")).into(), Raw::new(&json!({})).unwrap()))
        .collect();
    let many = [(alice.user_id.clone(), many)].into();
    assert!(matches!(refused(many).await, Refusal::InvalidParam { .. }));
}

/// A client that keeps its token and what it has read, both or none, and may miss an answer.
struct Reader {
    user: OwnedUserId,
    device: OwnedDeviceId,
    since: Position,
    read: Vec<(u64, u64)>,
}

impl Reader {
    /// One sync: what is acknowledged goes, what is new comes.
    async fn sync(&mut self, accounts: &Accounts, random: &Random) -> Result<(), Error> {
        accounts.acknowledge_to_device(&self.user, &self.device, self.since).await?;
        let until = accounts.store().watch(Partition(0)).unwrap().head();
        let limit = usize::try_from(1 + random.below(4)).unwrap();
        let page = accounts.to_device(&self.user, &self.device, [self.since, until], limit).await?;
        if random.chance(1, 4) {
            // The answer got lost.
            return Ok(());
        }
        for message in page.messages {
            let message: Value = serde_json::from_str(message.get()).unwrap();
            let number = |name: &str| message["content"][name].as_u64().unwrap();
            self.read.push((number("from"), number("n")));
        }
        self.since = page.next;
        Ok(())
    }
}

/// Sends `count` messages one after the other, each until it is acknowledged.
async fn send_all(
    accounts: Arc<Accounts>,
    from: LoggedIn,
    number: u64,
    mut next: u64,
    count: u64,
    to: OwnedUserId,
) -> u64 {
    while next < count {
        let messages = message(&[(&to, "*", json!({ "from": number, "n": next }))]);
        if send(&accounts, &from, &next.to_string(), &messages).await.is_err() {
            return next;
        }
        next += 1;
    }
    next
}

async fn every_message_arrives_once(seed: u64, senders: u64, count: u64, cuts: u64) {
    let random = Random::seeded(seed);
    let faults = Faults { delay_most: Duration::from_millis(3), ..Faults::default() };
    let disk = MemoryDisk::faulty(random.clone(), faults);
    let mut accounts = Accounts::new(store(&disk).await, options());
    let bob = user(&accounts, "bob").await;
    let mut sending = Vec::new();
    for number in 0..senders {
        sending.push((user(&accounts, &format!("s{number}")).await, 0));
    }
    let mut reader =
        Reader { user: bob.user_id.clone(), device: bob.device_id.clone(), since: Position::START, read: Vec::new() };
    for cut in 0..=cuts {
        let tasks: Vec<_> = (0..)
            .zip(&sending)
            .map(|(number, (from, next))| {
                let (accounts, from) = (Arc::clone(&accounts), from.clone());
                base::task::spawn(send_all(accounts, from, number, *next, count, bob.user_id.clone()))
            })
            .collect();
        for _ in 0..random.below(12) {
            let _ = reader.sync(&accounts, &random).await;
            accounts.store().clock().sleep(Duration::from_micros(random.below(4_000))).await;
        }
        if cut < cuts {
            disk.crash();
        }
        for (task, (_, next)) in tasks.into_iter().zip(&mut sending) {
            *next = task.await.unwrap();
        }
        if cut < cuts {
            accounts = Accounts::new(store(&disk).await, options());
        }
    }
    for _ in 0..8 * (1 + senders * count) {
        reader.sync(&accounts, &random).await.unwrap();
    }
    for number in 0..senders {
        let read: Vec<u64> = reader.read.iter().filter(|(from, _)| *from == number).map(|(_, n)| *n).collect();
        assert!(read.iter().copied().eq(0..count), "of sender {number}: {read:?}");
    }
    accounts.store().clock().sleep(Duration::from_secs(1)).await;
    let rows = accounts.store().scan(&KeyRange::table(TO_DEVICE), Direction::Forward, 10).await.unwrap();
    assert!(rows.rows.is_empty(), "what was read is gone");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn messages_arrive_once_and_in_order(seed: u64, senders in 1_u64..4, count in 1_u64..12, cuts in 0_u64..4) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(every_message_arrives_once(seed, senders, count, cuts));
    }
}

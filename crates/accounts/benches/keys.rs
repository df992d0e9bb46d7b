//! One-time keys claimed and messages left for devices, on the embedded engine with durable writes:
//! `cargo bench -p accounts --bench keys`.
//!
//! Prints first the processor time that each costs, of all threads together: it is what a noisy machine changes least.
//! What divan measures after that is the time that a client waits for, most of it the disk's.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use accounts::keys::KeysToUpload;
use accounts::to_device::{DeviceMessages, Sending};
use accounts::{Accounts, AccountsOptions, LoggedIn, NewAccount, NewDevice};
use base::{Position, Positions};
use divan::Bencher;
use protocol::bundle::{DeviceKeys, Fallback, OneTimeKey, algorithm};
use protocol::canonical::Object;
use protocol::olm::Account;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use ruma::encryption::OneTimeKey as RumaKey;
use ruma::serde::Raw;
use ruma::to_device::DeviceIdOrAllDevices;
use ruma::{OneTimeKeyAlgorithm, OwnedOneTimeKeyId, TransactionId, server_name};
use serde_json::Value;
use serde_json::value::RawValue;
use storage::{EngineChoice, Store, StoreOptions};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// How many keys or messages a request has.
const AT_ONCE: [usize; 2] = [10, 50];
/// Requests of one measurement of processor time.
const REQUESTS: usize = 300;
/// Keys in one upload.
const UPLOADED: usize = 50;
/// Bytes of a message: a room key, encrypted.
const MESSAGE: usize = 1_200;

fn main() {
    print_costs();
    divan::main();
}

/// A server with as many devices as a request has keys or messages.
struct Server {
    runtime: Runtime,
    accounts: Arc<Accounts>,
    devices: Vec<LoggedIn>,
    sent: AtomicUsize,
    _folder: TempDir,
}

impl Server {
    fn new(devices: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut options = StoreOptions::new(folder.path().join("data"), EngineChoice::Embedded);
        options.tuning.disk_reserve_bytes = 0;
        let (accounts, devices) = runtime.block_on(async {
            let store = Arc::new(Store::open(options).await.unwrap());
            let accounts = Accounts::new(store, AccountsOptions::for_tests(server_name!("example.org").to_owned()));
            let mut found = Vec::new();
            for number in 0..devices {
                let new = NewAccount {
                    username: Some(format!("user{number}")),
                    device: Some(NewDevice::default()),
                    ..NewAccount::default()
                };
                found.push(accounts.register(new).await.unwrap().session.unwrap());
            }
            (accounts, found)
        });
        Self { runtime, accounts, devices, sent: AtomicUsize::new(0), _folder: folder }
    }

    /// Gives every device so many one-time keys.
    fn publish(&self, count: usize) {
        self.runtime.block_on(async {
            for (seed, device) in (0..).zip(&self.devices) {
                let mut rng = ChaCha20Rng::seed_from_u64(seed);
                let mut account = Account::new(&mut rng);
                let curve25519 = account.identity_keys().curve25519;
                let (user, id) = (device.user_id.as_str(), device.device_id.as_str());
                let keys = DeviceKeys::sign(user, id, &[algorithm::OLM], &curve25519, &account).unwrap();
                for _ in 0..count.div_ceil(UPLOADED) {
                    let upload = KeysToUpload {
                        device_keys: Some(raw(keys.as_object())),
                        one_time_keys: one_time_keys(&mut account, &keys, &mut rng),
                        ..KeysToUpload::default()
                    };
                    self.accounts.upload_keys(&device.user_id, &device.device_id, &upload).await.unwrap();
                }
            }
        });
    }

    /// A key of each device.
    fn claim(&self) {
        let wanted: BTreeMap<_, _> = self
            .devices
            .iter()
            .map(|device| {
                let devices = [(device.device_id.clone(), OneTimeKeyAlgorithm::SignedCurve25519)];
                (device.user_id.clone(), devices.into())
            })
            .collect();
        let claimed = self.runtime.block_on(self.accounts.claim_keys(&wanted)).unwrap();
        assert_eq!(claimed.keys.len(), self.devices.len());
    }

    /// A message to each device.
    fn send(&self, messages: &DeviceMessages<Value>) {
        let transaction = self.sent.fetch_add(1, Ordering::Relaxed).to_string();
        let transaction: &TransactionId = transaction.as_str().into();
        let sender = &self.devices[0];
        let sending =
            Sending { user: &sender.user_id, device: &sender.device_id, kind: "m.room.encrypted", transaction };
        self.runtime.block_on(self.accounts.send_to_device(sending, messages)).unwrap();
    }

    fn messages(&self) -> DeviceMessages<Value> {
        let content: Raw<Value> = Raw::new(&serde_json::json!({ "ciphertext": "x".repeat(MESSAGE) })).unwrap();
        let to = |device: &LoggedIn| {
            let of_device = [(DeviceIdOrAllDevices::DeviceId(device.device_id.clone()), content.clone())];
            (device.user_id.clone(), of_device.into())
        };
        self.devices.iter().map(to).collect()
    }

    /// What a sync of each device does: read what came after `since`, and let go of it.
    fn receive(&self, since: Position) -> (Position, usize) {
        self.runtime.block_on(async {
            let mut received = 0;
            let until = self.accounts.store().watch(base::Partition(0)).unwrap().head();
            for device in &self.devices {
                let (user, device) = (&device.user_id, &device.device_id);
                let inbox = self.accounts.to_device(user, device, [since, until], 100).await.unwrap();
                received += inbox.messages.len();
                self.accounts.acknowledge_to_device(user, device, inbox.next).await.unwrap();
            }
            // What is let go of is written by tasks of their own.
            tokio::task::yield_now().await;
            (until, received)
        })
    }
}

fn raw<T>(object: &Object) -> Raw<T> {
    Raw::from_json(RawValue::from_string(object.to_canonical()).unwrap())
}

fn one_time_keys(
    account: &mut Account,
    keys: &DeviceKeys,
    rng: &mut ChaCha20Rng,
) -> BTreeMap<OwnedOneTimeKeyId, Raw<RumaKey>> {
    account.generate_one_time_keys(UPLOADED, rng);
    let sign = |(id, public): (protocol::olm::KeyId, _)| {
        let key = OneTimeKey::sign_curve25519(&id.to_base64(), &public, Fallback::No, keys, account).unwrap();
        (key.name().try_into().unwrap(), raw(key.value().as_object().unwrap()))
    };
    let signed = account.unpublished_one_time_keys().map(sign).collect();
    account.mark_keys_as_published();
    signed
}

/// Processor time of all threads so far, in µs. The kernel counts in hundredths of a second.
fn cpu_micros() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    // The second field, the name, may hold spaces; it ends with the last parenthesis.
    let fields: Vec<&str> = stat[stat.rfind(')').unwrap()..].split(' ').collect();
    let ticks: f64 = fields[12].parse::<f64>().unwrap() + fields[13].parse::<f64>().unwrap();
    ticks * 10_000.0
}

/// Processor time of `work`, in µs for each of `count`.
fn cost(count: usize, work: impl FnOnce()) -> f64 {
    let before = cpu_micros();
    work();
    #[expect(clippy::cast_precision_loss, reason = "there are not that many")]
    let count = count as f64;
    (cpu_micros() - before) / count
}

#[expect(clippy::print_stdout, reason = "the figures are what this is for")]
fn print_costs() {
    println!("processor time, µs each, of all threads:");
    for at_once in AT_ONCE {
        let server = Server::new(at_once);
        server.publish(REQUESTS);
        let count = REQUESTS * at_once;
        let claimed = cost(count, || (0..REQUESTS).for_each(|_| server.claim()));
        let messages = server.messages();
        let sent = cost(count, || (0..REQUESTS).for_each(|_| server.send(&messages)));
        let mut received = 0;
        let read = cost(count, || {
            let mut since = Position::START;
            // A sync has a hundred messages at most.
            for _ in 0..REQUESTS.div_ceil(100) {
                received += server.receive(since).1;
                since = Position::START;
            }
        });
        assert_eq!(received, count);
        let viewer = &server.devices[0].user_id;
        let head = Positions::new(vec![server.accounts.store().watch(base::Partition(0)).unwrap().head()]);
        let since = Positions::new(vec![Position(head.as_slice()[0].0 - 1)]);
        let changes = cost(100_000, || {
            server.runtime.block_on(async {
                for _ in 0..100_000 {
                    server.accounts.device_list_changes(viewer, &since, &head).await.unwrap();
                }
            });
        });
        println!(
            "{at_once:>3} at once: key claimed {claimed:.1}, message sent {sent:.1}, message read and let go {read:.1}; \
             key changes looked for {changes:.2}"
        );
    }
}

#[divan::bench(args = AT_ONCE, sample_count = 50, sample_size = 1)]
fn claim(bencher: Bencher<'_, '_>, at_once: usize) {
    let server = Server::new(at_once);
    server.publish(100);
    bencher.bench_local(|| server.claim());
}

#[divan::bench(args = AT_ONCE, sample_count = 50, sample_size = 1)]
fn send(bencher: Bencher<'_, '_>, at_once: usize) {
    let server = Server::new(at_once);
    let messages = server.messages();
    bencher.bench_local(|| server.send(&messages));
}

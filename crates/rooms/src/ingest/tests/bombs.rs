//! Events that blow up whoever works on them: a test plants a bomb by what the event says, and names the stage at which it
//! goes off, as `panic@judge`, and perhaps itself, as `panic@judge#name`. It is in no other build.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The key of an event's content whose value plants a bomb.
pub(crate) const KEY: &str = "bomb";

static DEFUSED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
static BURNING: AtomicUsize = AtomicUsize::new(0);

/// Makes the bombs of this name harmless, also those that are burning.
pub(crate) fn defuse(name: &str) {
    DEFUSED.lock().unwrap_or_else(PoisonError::into_inner).insert(format!("#{name}"));
}

fn is_defused(json: &str) -> bool {
    DEFUSED.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|name| json.contains(name))
}

/// Returns when one more bomb that does not end has begun to burn.
pub(crate) async fn wait_for_the_fuse() {
    while BURNING.swap(0, Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
}

/// Goes off if `json` has a bomb for this stage.
pub(crate) fn explode(stage: &str, json: &[u8]) {
    let json = String::from_utf8_lossy(json);
    let planted = |kind: &str| json.contains(&format!("\"{KEY}\":\"{kind}@{stage}")) && !is_defused(&json);
    if planted("panic") {
        panic!("boom: {json}");
    }
    if planted("time") {
        BURNING.fetch_add(1, Ordering::SeqCst);
        // Nobody sends anything: it only waits.
        let (_silent, nothing) = std::sync::mpsc::channel::<()>();
        while planted("time") {
            let _ = nothing.recv_timeout(Duration::from_millis(20));
        }
    }
    if planted("stack") {
        println!("{}", fall(1));
    }
    if planted("abort") {
        std::process::abort();
    }
}

/// Needs more stack than there is.
#[expect(unconditional_recursion, reason = "that is its point")]
fn fall(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 1024]);
    fall(depth + 1) + frame[1]
}

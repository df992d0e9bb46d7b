//! Where work on what others sent is done: on threads of its own kind, one event (or one group of outliers) after another,
//! each noted before it is begun, under a net for panics and a deadline.
//!
//! What panics is caught. What does not end is left to itself: its thread is given up, another takes its place, and the work
//! goes on with the next event; a number of threads that depends on [`limits::INGEST_GIVEN_UP`] may be lost so before the
//! server refuses more of this work. What brings down the process (a stack that overflows, an abort) is found noted at the
//! next start: then it is a *suspect* and worked on alone, so that if it happens again nothing else is blamed.
//!
//! A thread's stack is the runtime's (2 MiB), far more than JSON of the greatest depth that is read (128) takes.
//!
//! Must not know what the work is.

use std::any::Any;
use std::collections::BTreeSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base::{limits, task};
use storage::{Note, Record, Store};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::error::Error;
use crate::ingest::set_aside::{self, Digest, Noted};

/// How work on an event ended that did not end well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Poison {
    /// It panicked, saying this.
    Panicked(String),
    /// It took too long.
    TooSlow,
}

/// One piece of work: the events it is on, and whatever else it needs.
#[derive(Debug)]
pub(super) struct Load<I> {
    pub(super) noted: Noted,
    pub(super) input: I,
}

/// The places where work is done.
pub struct Workshop {
    permits: Arc<Semaphore>,
    free: Arc<Mutex<Vec<Note>>>,
    /// How many threads were given up and have not ended.
    given_up: Arc<AtomicUsize>,
    /// Notes opened so far, which gives the next one its name.
    opened: AtomicUsize,
    /// What was being worked on when the process died.
    suspects: Mutex<BTreeSet<Digest>>,
}

/// A place taken.
struct Place {
    permit: Option<OwnedSemaphorePermit>,
    note: Option<Note>,
    free: Arc<Mutex<Vec<Note>>>,
    count: Arc<AtomicUsize>,
    given_up: Arc<AtomicBool>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(note) = self.note.take() {
            // It is written again before the next work; a note of work that is done only makes a suspect of it.
            if let Err(error) = note.wipe() {
                tracing::warn!(%error, "the note of work that is done cannot be wiped");
            }
            lock(&self.free).push(note);
        }
        if self.given_up.load(Ordering::Acquire) {
            // Another was let in in its place.
            if let Some(permit) = self.permit.take() {
                permit.forget();
            }
            self.count.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Workshop {
    /// Opens the places, and makes suspects of what was being worked on when the process died; what has been a suspect
    /// before is set aside.
    ///
    /// # Errors
    /// As every read and commit; when a note cannot be opened.
    pub async fn open(store: &Store) -> Result<Self, Error> {
        let (mut notes, mut held) = (Vec::new(), Vec::new());
        let places = limits::INGEST_AT_ONCE + limits::INGEST_GIVEN_UP;
        for place in 0..places {
            let (note, noted) = open_note(store, place)?;
            held.extend(noted.as_deref().and_then(|noted| Noted::decode(noted).ok()));
            notes.push(note);
        }
        for noted in held {
            set_aside::process_died(store, noted).await?;
        }
        for note in &notes {
            // Only now: had we died before, the next start would have to find the same.
            note.wipe().map_err(Error::storage("wiping a note of work in flight"))?;
        }
        let suspects = set_aside::suspects(store).await?;
        Ok(Self {
            permits: Arc::new(Semaphore::new(limits::INGEST_AT_ONCE)),
            free: Arc::new(Mutex::new(notes)),
            given_up: Arc::default(),
            opened: AtomicUsize::new(places),
            suspects: Mutex::new(suspects),
        })
    }

    /// Does the work on each load in turn. Of the outcomes, in the order of the loads, those that are poison say so.
    ///
    /// # Errors
    /// [`Error::Busy`] when there was no place for too long.
    pub(super) async fn run<I, O>(
        &self,
        store: &Store,
        loads: Vec<Load<I>>,
        work: impl Fn(&I) -> O + Send + Sync + 'static,
    ) -> Result<Vec<Result<O, Poison>>, Error>
    where
        I: Send + Sync + 'static,
        O: Send + 'static,
    {
        let alone = {
            let suspects = lock(&self.suspects);
            !suspects.is_empty() && loads.iter().any(|load| load.noted.digests().any(|it| suspects.contains(&it)))
        };
        let (loads, work) = (Arc::new(loads), Arc::new(work));
        let mut outcomes = Vec::with_capacity(loads.len());
        while outcomes.len() < loads.len() {
            let place = self.place(store, alone).await?;
            let given_up = Arc::clone(&place.given_up);
            let (sender, mut receiver) = mpsc::unbounded_channel();
            let (loads, work, from) = (Arc::clone(&loads), Arc::clone(&work), outcomes.len());
            let job = {
                let loads = Arc::clone(&loads);
                task::blocking(move || do_work(&place, loads.get(from..).unwrap_or_default(), &*work, &sender))
            };
            while outcomes.len() < loads.len() {
                match store.clock().timeout(limits::INGEST_EVENT_TIME, receiver.recv()).await {
                    Some(Some(outcome)) => outcomes.push(outcome),
                    // A net for what should not be: the thread ended without a word.
                    Some(None) => outcomes.push(Err(Poison::Panicked("the thread ended".to_owned()))),
                    None => {
                        outcomes.push(Err(Poison::TooSlow));
                        self.give_up(&given_up);
                        break;
                    }
                }
            }
            drop(receiver);
            if !given_up.load(Ordering::Acquire) {
                // So that the note is wiped before anybody goes on.
                let _ = job.await;
            }
        }
        Ok(outcomes)
    }

    async fn place(&self, store: &Store, alone: bool) -> Result<Place, Error> {
        let count = if alone { limits::INGEST_AT_ONCE } else { 1 };
        let permits = Arc::clone(&self.permits).acquire_many_owned(u32::try_from(count).unwrap_or(1));
        let permit = store.clock().timeout(limits::INGEST_EVENT_TIME, permits).await;
        let busy = || Error::Busy { attempts: 1 };
        let permit = permit.and_then(Result::ok).ok_or_else(busy)?;
        let spare = lock(&self.free).pop();
        let note = match spare {
            Some(note) => note,
            None => open_note(store, self.opened.fetch_add(1, Ordering::Relaxed))?.0,
        };
        Ok(Place {
            permit: Some(permit),
            note: Some(note),
            free: Arc::clone(&self.free),
            count: Arc::clone(&self.given_up),
            given_up: Arc::default(),
        })
    }

    /// Leaves a thread to itself and lets another in in its place, unless too many were lost.
    fn give_up(&self, place: &AtomicBool) {
        if self.given_up.fetch_add(1, Ordering::AcqRel) < limits::INGEST_GIVEN_UP {
            place.store(true, Ordering::Release);
            self.permits.add_permits(1);
        } else {
            self.given_up.fetch_sub(1, Ordering::AcqRel);
            tracing::error!(
                "too much work on other servers' events does not end; restart the server to get its threads back"
            );
        }
    }

    /// Work on it has ended well, or it is set aside: it need not be worked on alone any more. True when it was a suspect.
    pub(super) fn acquit(&self, digest: Digest) -> bool {
        let mut suspects = lock(&self.suspects);
        !suspects.is_empty() && suspects.remove(&digest)
    }
}

impl fmt::Debug for Workshop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Workshop({} threads given up)", self.given_up.load(Ordering::Relaxed))
    }
}

fn do_work<I, O>(
    place: &Place,
    loads: &[Load<I>],
    work: &(impl Fn(&I) -> O + ?Sized),
    outcomes: &mpsc::UnboundedSender<Result<O, Poison>>,
) {
    for load in loads {
        let noted = place.note.as_ref().map(|note| note.write(&load.noted.encode()));
        if let Some(Err(error)) = noted {
            // A full disk must not stop what only has to be read and judged; it will be refused when it is written.
            tracing::warn!(%error, "work in flight cannot be noted");
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| work(&load.input)));
        let outcome = outcome.map_err(|panic| Poison::Panicked(said(&*panic)));
        if outcomes.send(outcome).is_err() || place.given_up.load(Ordering::Acquire) {
            return;
        }
    }
}

fn open_note(store: &Store, place: usize) -> Result<(Note, Option<Vec<u8>>), Error> {
    Note::open(store, &format!("ingest-{place}")).map_err(Error::storage("opening a note of work in flight"))
}

/// What a panic said, up to where it may repeat what somebody wrote: behind a colon, a semicolon or a quote.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("nothing");
    let end = [": ", "; ", "\"", "`"].into_iter().filter_map(|mark| text.find(mark)).min().unwrap_or(text.len());
    let end = text.floor_char_boundary(end.min(limits::INGEST_REASON_BYTES));
    text.get(..end).unwrap_or_default().to_owned()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

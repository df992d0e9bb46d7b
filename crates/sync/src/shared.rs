//! Answers that several ask for at once and that take long: computed once, by whoever is there to do it. When all who asked
//! have gone, so has the work.

use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use base::collections::HashMap;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};

use crate::error::Error;
use crate::handle::Viewer;

/// What makes two requests the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Asked {
    pub(crate) viewer: Viewer,
    /// All else that was asked, printed.
    pub(crate) what: String,
}

type Answer = Result<Bytes, Arc<Error>>;
type Work = WeakShared<BoxFuture<'static, Answer>>;

/// What is being computed now.
#[derive(Default)]
pub(crate) struct InFlight {
    work: Mutex<HashMap<Asked, Work>>,
}

impl InFlight {
    /// The answer to `asked`: that which is being computed already, or that of `work`.
    pub(crate) async fn answer(&self, asked: Asked, work: impl Future<Output = Answer> + Send + 'static) -> Answer {
        let (shared, is_ours) = self.join(&asked, work);
        let answer = shared.await;
        if is_ours == Part::First {
            self.lock().remove(&asked);
        }
        answer
    }

    fn join(
        &self,
        asked: &Asked,
        work: impl Future<Output = Answer> + Send + 'static,
    ) -> (Shared<BoxFuture<'static, Answer>>, Part) {
        let mut all = self.lock();
        if let Some(shared) = all.get(asked).and_then(WeakShared::upgrade) {
            return (shared, Part::Later);
        }
        // Those whose askers have all gone.
        all.retain(|_, work| work.upgrade().is_some());
        let shared = work.boxed().shared();
        if let Some(weak) = shared.downgrade() {
            all.insert(asked.clone(), weak);
        }
        (shared, Part::First)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Asked, Work>> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    First,
    Later,
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use ruma::{owned_device_id, owned_user_id};

    use super::*;

    fn asked(what: &str) -> Asked {
        let viewer = Viewer { user: owned_user_id!("@alice:hs"), device: owned_device_id!("A") };
        Asked { viewer, what: what.to_owned() }
    }

    #[tokio::test]
    async fn what_several_ask_for_at_once_is_computed_once_and_afterwards_anew() {
        let (in_flight, runs) = (InFlight::default(), Arc::new(AtomicU32::new(0)));
        let work = || {
            let runs = Arc::clone(&runs);
            async move {
                tokio::task::yield_now().await;
                Ok(Bytes::from(format!("{}", runs.fetch_add(1, Ordering::SeqCst))))
            }
        };
        let (one, other, else_) = tokio::join!(
            in_flight.answer(asked("x"), work()),
            in_flight.answer(asked("x"), work()),
            in_flight.answer(asked("y"), work()),
        );
        assert_eq!((one.unwrap(), other.unwrap()), (Bytes::from("0"), Bytes::from("0")));
        assert_eq!(else_.unwrap(), Bytes::from("1"));
        assert_eq!(in_flight.answer(asked("x"), work()).await.unwrap(), Bytes::from("2"));
        assert!(in_flight.lock().is_empty());
    }

    #[tokio::test]
    async fn who_goes_away_does_not_keep_the_others_from_their_answer() {
        let in_flight = InFlight::default();
        let work = || async {
            tokio::task::yield_now().await;
            Ok(Bytes::from("done"))
        };
        let mut first = Box::pin(in_flight.answer(asked("x"), work()));
        assert!((&mut first).now_or_never().is_none());
        let second = in_flight.answer(asked("x"), work());
        drop(first);
        assert_eq!(second.await.unwrap(), Bytes::from("done"));
    }
}

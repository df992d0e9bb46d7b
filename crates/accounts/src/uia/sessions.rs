//! What clients have proven so far, in memory.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use base::clock::Monotonic;
use base::collections::HashMap;
use base::limits;
use sha2::{Digest, Sha256};
use storage::Store;

use crate::session::new_token;
use crate::uia::{Asked, Stage};

/// What was proven in a session.
#[derive(Clone, Debug)]
pub(super) struct UiaSession {
    operation: [u8; 32],
    completed: Vec<Stage>,
    pub(super) registration_token: Option<String>,
}

impl UiaSession {
    pub(super) fn new(asked: Asked<'_>) -> Self {
        Self { operation: operation(asked), completed: Vec::new(), registration_token: None }
    }

    pub(super) fn is_for(&self, asked: Asked<'_>) -> bool {
        self.operation == operation(asked)
    }

    pub(super) fn completed(&self) -> &[Stage] {
        &self.completed
    }

    pub(super) fn complete(&mut self, stage: Stage) {
        if !self.completed.contains(&stage) {
            self.completed.push(stage);
        }
    }

    pub(super) fn completes(&self, flows: &[&[Stage]]) -> bool {
        flows.iter().any(|flow| flow.iter().all(|stage| self.completed.contains(stage)))
    }
}

fn operation(asked: Asked<'_>) -> [u8; 32] {
    let user = asked.user.map_or("", |user| user.as_str());
    Sha256::new().chain_update(user).chain_update([0]).chain_update(asked.operation).finalize().into()
}

struct Begun {
    session: UiaSession,
    at: Monotonic,
}

#[derive(Default)]
struct Inner {
    begun: HashMap<String, Begun>,
    /// The ids in the order in which they were begun, which is the one in which they expire. Some may be gone already.
    order: VecDeque<String>,
}

impl Inner {
    /// Forgets the oldest until all that are left are young and few enough.
    fn tidy(&mut self, now: Monotonic) {
        while let Some(oldest) = self.order.front() {
            let is_over = self.begun.get(oldest).is_none_or(|begun| now.since(begun.at) >= limits::UIA_LIFETIME);
            if !is_over && self.order.len() < limits::UIA_SESSIONS {
                return;
            }
            if let Some(oldest) = self.order.pop_front() {
                self.begun.remove(&oldest);
            }
        }
    }
}

/// The sessions that were begun and not finished.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<Inner>);

impl Sessions {
    pub(super) fn get(&self, id: &str, now: Monotonic) -> Option<UiaSession> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = inner.begun.get(id)?;
        (now.since(begun.at) < limits::UIA_LIFETIME).then(|| begun.session.clone())
    }

    /// Keeps `session` under the id that it has, or under a new one, which is returned.
    pub(super) fn put(&self, id: Option<String>, session: UiaSession, store: &Store) -> String {
        let now = store.clock().monotonic();
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = id
            && let Some(begun) = inner.begun.get_mut(&id)
        {
            begun.session = session;
            return id;
        }
        inner.tidy(now);
        let id = new_token("hfu", store.random());
        inner.order.push_back(id.clone());
        inner.begun.insert(id.clone(), Begun { session, at: now });
        id
    }

    pub(super) fn remove(&self, id: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).begun.remove(id);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.begun.len().max(inner.order.len())
    }
}

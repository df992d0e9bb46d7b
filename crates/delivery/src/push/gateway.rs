//! One question to a gateway, and what its answer means.

use accounts::Pusher;
use base::limits;
use bytes::Bytes;
use http::{HeaderValue, Method, header};
use net::Request;
use rooms::notice::Accepted;
use rooms::notice::Reader as Recipient;
use rooms::notice::rules::notifies;
use serde::Deserialize;

use crate::error::Error;
use crate::push::{Push, PusherKey, body};

/// What came of telling a gateway.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// It knows, or there was nothing to tell.
    Yes,
    /// It does not, for now.
    No(String),
    /// It never will: the pusher is removed.
    Gone,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    rejected: Vec<String>,
}

impl Push {
    /// Tells the gateway of `pusher` of an event, if the user's rules want that.
    pub(super) async fn tell(&self, pusher: &Pusher, accepted: Accepted) -> Result<Told, Error> {
        let settings = self.accounts.push_settings(&pusher.user).await?;
        let (ruleset, ignored, version) = (&settings.ruleset, &*settings.ignored, settings.version);
        let reader = Recipient { user: &pusher.user, ruleset, ignored, version };
        let actions = self.rooms.actions(accepted.room, accepted.event, &[reader]).await?;
        let Some(actions) = actions.into_iter().next().filter(|actions| notifies(actions)) else {
            return Ok(Told::Yes);
        };
        let Some(announced) = self.rooms.announcement(accepted.room, accepted.event).await? else {
            return Ok(Told::Yes);
        };
        let sent_at = base::Timestamp(announced.pdu.origin_server_ts().get().into());
        if self.accounts.store().clock().now().since(sent_at) > limits::PUSH_AGE {
            return Ok(Told::Yes);
        }
        let unread = self.badge(&pusher.user).await?;
        let told = self.ask(pusher, body::of_event(pusher, &announced, actions, unread)).await?;
        if told == Told::Yes {
            self.lock_badges().insert(PusherKey::of(pusher), unread);
        }
        Ok(told)
    }

    /// Tells the gateway of `pusher` how many events are unread, if that is another number than it was told last.
    pub(super) async fn tell_badge(&self, pusher: &Pusher) -> Result<(), Error> {
        let (key, unread) = (PusherKey::of(pusher), self.badge(&pusher.user).await?);
        if self.lock_badges().get(&key) == Some(&unread) {
            return Ok(());
        }
        if self.ask(pusher, body::of_badge(pusher, unread)).await? == Told::Yes {
            self.lock_badges().insert(key, unread);
        }
        Ok(())
    }

    async fn ask(&self, pusher: &Pusher, body: Vec<u8>) -> Result<Told, Error> {
        let uri = body::gateway(pusher).and_then(|(url, ..)| url.parse().ok());
        let Some(uri) = uri else { return Ok(Told::Yes) };
        let mut request = Request::new(Method::POST, uri);
        request.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request.body = Bytes::from(body);
        request.deadline = limits::PUSH_DEADLINE;
        request.answer_bytes = limits::PUSH_ANSWER_BYTES;
        // It is never closed.
        let _place = self.places.acquire().await;
        let answer = match self.transport.send(request).await {
            Ok(answer) if answer.status.is_success() => answer,
            Ok(answer) => return Ok(Told::No(format!("the gateway answered {}", answer.status))),
            Err(error) => return Ok(Told::No(error.to_string())),
        };
        let answer: Result<Answer, _> = serde_json::from_slice(&answer.body);
        let rejected = answer.map(|answer| answer.rejected).unwrap_or_default();
        if !rejected.contains(&pusher.data.ids.pushkey) {
            return Ok(Told::Yes);
        }
        tracing::info!(user = %pusher.user, app = pusher.data.ids.app_id, "a gateway rejects a pushkey, so its pusher is removed");
        self.accounts.remove_pusher(&pusher.user, &pusher.data.ids).await?;
        Ok(Told::Gone)
    }

    fn lock_badges(&self) -> std::sync::MutexGuard<'_, base::collections::HashMap<PusherKey, u64>> {
        self.badges.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

//! Coming and going.

use std::time::Duration;

use base::{Timestamp, limits};
use ruma::presence::PresenceState::{self, Offline, Online, Unavailable};
use ruma::{UserId, user_id};

use super::Presence;
use base::Clock;

fn presence() -> (Presence, Clock) {
    let clock = Clock::simulated(Timestamp(0));
    (Presence::new(clock.clone()), clock)
}

fn alice() -> &'static UserId {
    user_id!("@alice:example.org")
}

fn state(presence: &Presence) -> PresenceState {
    presence.of(alice()).state
}

async fn pass(presence: &Presence, clock: &Clock, time: Duration) {
    clock.sleep(time).await;
    presence.expire();
}

#[tokio::test(start_paused = true)]
async fn who_syncs_is_here_and_who_stops_is_away_after_a_while() {
    let (presence, clock) = presence();
    assert_eq!((state(&presence), presence.of(alice()).last_active_ago), (Offline, None));
    presence.note_sync(alice(), &Online, Duration::from_secs(30));
    assert_eq!((state(&presence), presence.of(alice()).currently_active), (Online, true));
    pass(&presence, &clock, Duration::from_secs(31)).await;
    assert_eq!(state(&presence), Online, "there is a grace between two syncs");
    pass(&presence, &clock, limits::PRESENCE_AWAY).await;
    assert_eq!(state(&presence), Offline);
}

#[tokio::test(start_paused = true)]
async fn who_only_listens_becomes_idle_and_comes_back_by_doing_something() {
    let (presence, clock) = presence();
    for _ in 0..20 {
        presence.note_sync(alice(), &Online, Duration::from_secs(30));
        pass(&presence, &clock, Duration::from_secs(30)).await;
    }
    assert_eq!((state(&presence), presence.of(alice()).currently_active), (Unavailable, false));
    presence.note_active(alice());
    assert_eq!((state(&presence), presence.of(alice()).currently_active), (Online, true));
}

#[tokio::test(start_paused = true)]
async fn a_sync_that_says_offline_says_nothing() {
    let (presence, _) = presence();
    presence.note_sync(alice(), &Offline, Duration::from_secs(30));
    assert_eq!((state(&presence), presence.version()), (Offline, 0));
    presence.set(alice(), Online, None).unwrap();
    presence.note_sync(alice(), &Offline, Duration::from_secs(30));
    assert_eq!(state(&presence), Online);
    presence.note_sync(alice(), &Unavailable, Duration::from_secs(30));
    assert_eq!(state(&presence), Unavailable);
}

#[tokio::test(start_paused = true)]
async fn changes_are_counted_once_and_told_as_they_are_now() {
    let (presence, _) = presence();
    let bob = user_id!("@bob:example.org");
    let mut watch = presence.watch();
    presence.set(alice(), Online, Some("at work".to_owned())).unwrap();
    presence.set(bob, Online, None).unwrap();
    let before = presence.version();
    presence.set(alice(), Online, Some("at work".to_owned())).unwrap();
    presence.note_active(alice());
    presence.note_sync(alice(), &Online, Duration::ZERO);
    assert_eq!(presence.version(), before, "nothing changed that others see");
    presence.set(alice(), Unavailable, None).unwrap();
    let told = |since| presence.since(since).into_iter().map(|(user, now)| (user, now.state)).collect::<Vec<_>>();
    assert_eq!(told(before), [(alice().to_owned(), Unavailable)]);
    assert_eq!(told(0), [(bob.to_owned(), Online), (alice().to_owned(), Unavailable)]);
    assert!(told(presence.version()).is_empty());
    assert!(watch.has_changed().unwrap());
    assert_eq!(*watch.borrow_and_update(), presence.version());
}

#[tokio::test]
async fn odd_states_and_long_messages_are_refused() {
    let (presence, _) = presence();
    let long = "x".repeat(limits::PRESENCE_STATUS_BYTES + 1);
    assert!(presence.set(alice(), Online, Some(long)).is_err());
    assert!(presence.set(alice(), "busy".into(), None).is_err());
    assert_eq!(presence.version(), 0);
}

#[tokio::test]
async fn no_more_users_are_remembered_than_there_is_room_for() {
    let (presence, _) = presence();
    for number in 0..limits::PRESENCE_USERS + 5 {
        let user = UserId::parse(format!("@u{number}:example.org")).unwrap();
        presence.set(&user, Online, None).unwrap();
    }
    assert_eq!(presence.since(0).len(), limits::PRESENCE_USERS);
    assert_eq!(presence.of(user_id!("@u0:example.org")).state, Offline, "the oldest is forgotten");
}

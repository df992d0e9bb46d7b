//! Who types, under simulated time.

use std::sync::Arc;
use std::time::Duration;

use base::{Clock, Timestamp, limits};
use ruma::{OwnedUserId, UserId, user_id};

use crate::error::{Error, Refusal};
use crate::notice::Typing;
use crate::notice::fixture::Stage;
use crate::number::RoomNumber;

const ROOM: RoomNumber = RoomNumber(1);

fn typing() -> (Arc<Typing>, Clock) {
    let clock = Clock::simulated(Timestamp(0));
    (Arc::new(Typing::new(clock.clone())), clock)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn who_types_is_shown_until_they_stop_or_their_time_is_over_and_followers_hear_of_it() {
    let (typing, clock) = typing();
    let mut changes = typing.changes();
    let (alice, bob) = (user_id!("@alice:one"), user_id!("@bob:one"));
    typing.set(ROOM, bob, Some(seconds(30)));
    typing.set(ROOM, alice, Some(seconds(10)));
    assert_eq!(typing.now(ROOM).users, [alice, bob]);
    assert_eq!((changes.recv().await.unwrap(), changes.recv().await.unwrap()), (ROOM, ROOM));
    typing.set(ROOM, bob, Some(seconds(25)));
    assert!(changes.is_empty(), "who goes on typing changes nothing");

    let before = typing.now(ROOM).version;
    clock.sleep(seconds(11)).await;
    assert_eq!(changes.recv().await.unwrap(), ROOM);
    let now = typing.now(ROOM);
    assert_eq!(now.users, [bob], "the later of the two timers does not hold up the earlier");
    assert!(now.version > before && now.version == typing.version());

    typing.set(ROOM, bob, None);
    assert_eq!(typing.now(ROOM).users, [] as [&UserId; 0]);
    assert!(typing.now(ROOM).version > now.version, "that nobody types any more is news");
    typing.set(ROOM, bob, None);
    assert_eq!(typing.now(ROOM).version, typing.version());
}

#[tokio::test(start_paused = true)]
async fn nobody_is_shown_for_longer_than_the_longest_time_and_not_at_all_for_none() {
    let (typing, clock) = typing();
    typing.set(ROOM, user_id!("@alice:one"), Some(seconds(100_000)));
    typing.set(ROOM, user_id!("@bob:one"), Some(Duration::ZERO));
    assert_eq!(typing.now(ROOM).users.len(), 1);
    clock.sleep(limits::TYPING_LONGEST - seconds(1)).await;
    assert_eq!(typing.now(ROOM).users.len(), 1);
    clock.sleep(seconds(2)).await;
    assert_eq!(typing.now(ROOM).users.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn rooms_and_people_beyond_the_bounds_are_not_shown_and_quiet_rooms_make_way() {
    let (typing, _) = typing();
    for n in 0..limits::TYPING_IN_ROOM + 5 {
        let user: OwnedUserId = UserId::parse(format!("@user{n}:one")).unwrap();
        typing.set(ROOM, &user, Some(seconds(10)));
    }
    assert_eq!(typing.now(ROOM).users.len(), limits::TYPING_IN_ROOM);
    let alice = user_id!("@alice:one");
    for n in 2..=limits::TYPING_ROOMS as u64 {
        typing.set(RoomNumber(n), alice, Some(seconds(10)));
        typing.set(RoomNumber(n), alice, None);
    }
    let late = RoomNumber(1_000_000);
    typing.set(late, alice, Some(seconds(10)));
    assert_eq!(typing.now(late).users, [alice]);
    assert_eq!(typing.now(RoomNumber(2)).version, 0, "where it was quiet the longest is forgotten");
    assert_ne!(typing.now(RoomNumber(limits::TYPING_ROOMS as u64)).version, 0);
    assert_eq!(typing.now(ROOM).users.len(), limits::TYPING_IN_ROOM, "where somebody types is not");
}

#[tokio::test]
async fn only_who_is_in_the_room_types_there() {
    let stage = Stage::set().await;
    let (bob, eve) = (user_id!("@bob:two"), user_id!("@eve:one"));
    stage.rooms.types(&stage.id(), bob, Some(seconds(5))).await.unwrap();
    assert_eq!(stage.rooms.typing().now(stage.room).users, [bob]);
    let refused = stage.rooms.types(&stage.id(), eve, Some(seconds(5))).await.unwrap_err();
    assert!(matches!(refused, Error::Refused(Refusal::NotJoined)), "{refused}");
}

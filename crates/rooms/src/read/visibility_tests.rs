//! Who may see an event: the specification's rules as a table, and rooms in which everything happens, against a model that
//! repeats the rules word by word over the whole history.

use base::Random;
use proptest::prelude::*;
use ruma::events::room::member::MembershipState as Is;
use serde_json::json;

use crate::append::fixture::{Says, latest};
use crate::append::{Appended, append};
use crate::event::Draft;
use crate::event::fixture::{ALICE, BOB, Room};
use crate::number::EventNumber;
use crate::read::fixture::House;
use crate::read::visibility::HistoryVisibility as History;
use crate::read::{Access, Joined, Moment, may_see};
use crate::timeline::Order;

fn moment(history: History, membership: &Is) -> Moment {
    Moment { history, membership: membership.clone() }
}

#[test]
fn an_event_is_seen_as_the_rules_have_it() {
    // By membership: whether it is seen at once, and whether it is when the user joins later.
    let rows = [
        (History::WorldReadable, [[true, true], [true, true], [true, true], [true, true], [true, true]]),
        (History::Shared, [[true, true], [false, true], [false, true], [false, true], [false, true]]),
        (History::Invited, [[true, true], [true, true], [false, false], [false, false], [false, false]]),
        (History::Joined, [[true, true], [false, false], [false, false], [false, false], [false, false]]),
    ];
    for (history, expected) in rows {
        for (membership, expected) in [Is::Join, Is::Invite, Is::Knock, Is::Leave, Is::Ban].iter().zip(expected) {
            let at = moment(history, membership);
            let seen = [false, true].map(|later| may_see(&at, &at, later));
            assert_eq!(seen, expected, "{history:?}, {membership}");
        }
    }
}

#[test]
fn a_change_is_seen_when_what_was_before_or_what_is_after_it_allows_it() {
    let outside = |history| moment(history, &Is::Leave);
    assert!(may_see(&outside(History::WorldReadable), &outside(History::Joined), false));
    assert!(may_see(&outside(History::Joined), &outside(History::WorldReadable), false));
    assert!(!may_see(&outside(History::Joined), &outside(History::Invited), false));
    let inside = |membership: Is| moment(History::Joined, &membership);
    assert!(may_see(&inside(Is::Join), &inside(Is::Leave), false), "how one left");
    assert!(may_see(&inside(Is::Invite), &inside(Is::Join), false), "how one came");
    assert!(!may_see(&inside(Is::Invite), &inside(Is::Leave), false), "an invitation not taken");
}

#[test]
fn a_value_that_is_not_known_is_shared_history() {
    for content in [json!({}), json!({ "history_visibility": 7 }), json!({ "history_visibility": "org.example.none" })]
    {
        assert_eq!(History::of(&content), History::Shared, "{content}");
    }
    for history in [History::WorldReadable, History::Shared, History::Invited, History::Joined] {
        assert_eq!(History::of(&json!({ "history_visibility": history.as_str() })), history);
    }
}

#[test]
fn who_left_joined_after_what_came_before_that() {
    let [before, left, after] = [Order::History(3), Order::History(4), Order::History(5)];
    assert!(Joined::Until(left).after(before));
    assert!(!Joined::Until(left).after(left) && !Joined::Until(left).after(after));
    assert!(Joined::Now.after(after) && !Joined::Never.after(before));
}

/// What happened, as the model remembers it: the event, and history visibility and Bob's membership before and after it.
struct Step {
    event: EventNumber,
    moments: [(String, String); 2],
}

/// The rules of the specification, over the whole history.
fn model(steps: &[Step], at: usize) -> bool {
    let joins_later = steps.iter().skip(at + 1).any(|step| step.moments[1].1 == "join");
    steps[at].moments.iter().any(|(history, membership)| {
        // 1.
        history == "world_readable"
            // 2.
            || membership == "join"
            // 3.
            || (history == "shared" && joins_later)
            // 4.
            || (membership == "invite" && history == "invited")
    })
}

fn anything(pick: &mut impl FnMut(u64) -> usize) -> Draft {
    let of_bob = |sender: &str, membership: &str| {
        Room::draft(sender, "m.room.member", Some(BOB), json!({ "membership": membership }))
    };
    match pick(10) {
        0 | 1 => of_bob(BOB, "join"),
        2 => of_bob(BOB, "leave"),
        3 => of_bob(ALICE, "invite"),
        4 => of_bob(ALICE, ["leave", "ban"][pick(2)]),
        5 | 6 => {
            let history = ["world_readable", "shared", "invited", "joined"][pick(4)];
            Room::draft(ALICE, "m.room.history_visibility", Some(""), json!({ "history_visibility": history }))
        }
        _ => Room::draft(ALICE, "m.room.message", None, json!({ "body": pick(1_000_000).to_string() })),
    }
}

/// Lets things happen, and compares what Bob sees with what the model says.
async fn compare(seed: u64) {
    let random = Random::seeded(seed);
    let mut pick = |count: u64| usize::try_from(random.below(count)).unwrap();
    let house = House::new(latest()).await;
    let mut now = ("shared".to_owned(), "leave".to_owned());
    let begun = house.seen(ALICE).await.events.into_iter().map(|shown| shown.stored.number);
    let mut steps: Vec<Step> = begun.map(|event| Step { event, moments: [now.clone(), now.clone()] }).collect();
    for _ in 0..30 {
        let draft = anything(&mut pick);
        let mut after = now.clone();
        let field = |name: &str| draft.content.get(name).and_then(|value| value.as_str()).map(str::to_owned);
        after.0 = field("history_visibility").unwrap_or(after.0);
        after.1 = field("membership").unwrap_or(after.1);
        // Not everything is allowed at any time.
        let appended = append(house.rooms.store(), house.room, &mut Says::new(draft)).await;
        if let Ok(Appended::Now { number, .. }) = appended {
            steps.push(Step { event: number, moments: [now, after.clone()] });
            now = after;
        }
    }
    let expected: Vec<EventNumber> =
        steps.iter().enumerate().filter(|(at, _)| model(&steps, *at)).map(|(_, step)| step.event).collect();
    let page = house.seen(BOB).await;
    let seen: Vec<EventNumber> = page.events.iter().map(|shown| shown.stored.number).collect();
    assert_eq!(seen, expected, "seed {seed}");
    for shown in &page.events {
        let step = steps.iter().find(|step| step.event == shown.stored.number).unwrap();
        assert_eq!(shown.membership.as_str(), step.moments[1].1, "seed {seed}");
    }
    let was_in = steps.iter().any(|step| step.moments[1].1 == "join");
    let access = house.read().await.access(<&ruma::UserId>::try_from(BOB).unwrap()).await.unwrap();
    match (now.1.as_str(), now.0.as_str()) {
        ("join", _) | (_, "world_readable") => assert_eq!(access, Access::Now, "seed {seed}"),
        _ if was_in => assert!(matches!(access, Access::Until(_)), "seed {seed}: {access:?}"),
        _ => assert_eq!(access, Access::Nothing, "seed {seed}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 0, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_in_a_room_is_seen_as_the_rules_have_it(seed in any::<u64>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(compare(seed));
    }
}

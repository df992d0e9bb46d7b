//! A room in a store of its own to test with, event after event, with no more checks than the rows need.

use base::{Clock, Random, Timestamp};
use storage::{Batch, EngineChoice, MemoryDisk, Store, StoreOptions};

use crate::event::fixture::Room;
use crate::event::{Known, RoomVersion};
use crate::graph::{
    Completeness, EventFacts, Graph, Head, Place, StoredChain, head_of, put_chain, put_event, put_head, put_room,
};
use crate::number::{EventNumber, KeyNumber, RoomNumber};
use crate::state::{Nodes, StateRoot, add_key, key_numbers, load, put_new_nodes};

/// The number of the room.
pub(crate) const ROOM: RoomNumber = RoomNumber(42);

/// Opens the store on `disk`.
pub(crate) async fn open(disk: &MemoryDisk) -> Store {
    let mut options = StoreOptions::new("", EngineChoice::Memory { disk: disk.clone() });
    options.clock = Clock::simulated(Timestamp(0));
    options.random = Random::seeded(1);
    Store::open(options).await.unwrap()
}

/// Makes the room.
pub(crate) async fn begin(store: &Store, room: &Room) -> Head {
    let mut batch = Batch::new();
    let room_id = room.room_id.clone().unwrap();
    let head = Head {
        room_id: room_id.clone(),
        version: room.version.id().clone(),
        next_event: EventNumber(0),
        next_key: KeyNumber(0),
        extremities: Vec::new(),
        state: StateRoot::EMPTY,
        completeness: Completeness::Complete,
        rewritten: 0,
    };
    put_room(&mut batch, &room_id, ROOM);
    put_head(&mut batch, ROOM, &head, None);
    store.commit(batch).await.unwrap();
    head
}

/// An event about to be added.
pub(crate) struct Addition {
    pub(crate) batch: Batch,
    pub(crate) number: EventNumber,
    pub(crate) after: StateRoot,
}

/// The batch that adds `event`, before which the state is `before` or else the room's.
pub(crate) async fn addition(
    store: &Store,
    version: &'static RoomVersion,
    event: &Known,
    before: Option<StateRoot>,
) -> Addition {
    let graph = Graph::new(store, ROOM, version);
    let (mut head, was) = head_of(store, ROOM).await.unwrap().unwrap();
    let pdu = &event.pdu;
    let mut batch = Batch::new();
    let mut numbering = graph.numbering(&head, pdu, &[]).await.unwrap();
    let number = numbering.number(&pdu.id().to_owned());
    let prev = pdu.prev_events().iter().map(|id| numbering.number(id)).collect();
    let auth: Vec<EventNumber> = pdu.auth_events().iter().map(|id| numbering.number(id)).collect();
    numbering.put(&mut batch, ROOM, &mut head);

    let before = before.unwrap_or(head.state);
    let mut files = None;
    head.state = before;
    if let Some(key) = pdu.filed_under() {
        let filed = match key_numbers(store, ROOM, std::slice::from_ref(&key)).await.unwrap()[0] {
            Some(number) => number,
            None => {
                let number = head.next_key;
                head.next_key = KeyNumber(number.0 + 1);
                add_key(&mut batch, ROOM, &key, number);
                number
            }
        };
        let mut nodes = Nodes::new(ROOM);
        let change = [(filed, Some(number))].into();
        head.state = load(store, &mut nodes, |nodes| nodes.apply(before, &change)).await.unwrap();
        put_new_nodes(&mut batch, &nodes, head.state);
        let chains = graph.chains(&auth).await.unwrap();
        put_chain(&mut batch, ROOM, number, &auth, &StoredChain::above(&chains));
        files = Some(filed);
    }
    let place = Place::InGraph { before, after: head.state };
    let facts = EventFacts {
        id: pdu.id().to_owned(),
        standing: event.standing,
        place,
        depth: pdu.depth(),
        prev,
        auth,
        files,
        sent: None,
        redacted_by: None,
    };
    head.extremities = graph.extremities_after(&head.extremities, number, &facts, false).await.unwrap();
    put_event(&mut batch, ROOM, number, &facts, pdu.json());
    put_head(&mut batch, ROOM, &head, Some(was));
    Addition { batch, number, after: head.state }
}

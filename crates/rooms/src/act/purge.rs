//! Taking old words, or a whole room, out of the store. What others hold of them is theirs; here nothing is left.
//!
//! Of a room's history only messages go: state stays, because every later event leans on some of it. A room goes in many
//! commits. With the first it is known no more, and a row says that the rest is to follow; so a crash in between leaves
//! nothing that anybody sees, and [`Rooms::finish_purges`] goes on at the next start.

use base::{Timestamp, limits};
use ruma::{OwnedEventId, RoomId};
use storage::table::{
    AUTH_CHAIN, AUTH_CHILD, EVENT, EVENT_CHILD, EVENT_FOUND_BY, EVENT_JSON, EVENT_ORDER, PARTIAL_EVENT, RECEIPT,
    RECEIPT_ORDER, RELATION, ROOM_CARD, ROOM_GONE, ROOM_MEMBER, ROOM_TIMELINE, STATE_KEY, STATE_KEY_NAME, STATE_NODE,
};
use storage::{Batch, Direction, Key, KeyRange, Row};

use crate::act::membership::{Change, MembershipChange};
use crate::act::{alias, directory};
use crate::append::{delete_membership, members};
use crate::error::{Error, Refusal};
use crate::event::{Pdu, RoomVersion};
use crate::graph::{Graph, Stored, delete_event, delete_number, delete_room, head_of, require_head};
use crate::number::{EventNumber, RoomNumber};
use crate::read::relation::{Relations, relates_range};
use crate::read::{jump, words};
use crate::rooms::Rooms;
use crate::timeline::{self, Entry};

/// What a room has in tables of its own, by its number. Memberships and events are not among them: others' rows lead to
/// these, so they are taken away one by one.
const OWN: [storage::table::TableId; 14] = [
    STATE_NODE,
    STATE_KEY,
    STATE_KEY_NAME,
    EVENT,
    EVENT_CHILD,
    AUTH_CHAIN,
    AUTH_CHILD,
    ROOM_TIMELINE,
    EVENT_ORDER,
    RELATION,
    ROOM_CARD,
    EVENT_FOUND_BY,
    RECEIPT,
    RECEIPT_ORDER,
];

impl Rooms {
    /// Takes messages of `room` that were sent before `before` out of the store; how many. The last events, which the next
    /// one must name, stay.
    ///
    /// # Errors
    /// [`Refusal::NoSuchRoom`]; as every read and commit. What was done until then stays done.
    pub async fn purge_history(&self, room: &RoomId, before: Timestamp) -> Result<u64, Error> {
        self.purge_messages(self.number_of(room).await?, before).await
    }

    pub(super) async fn purge_messages(&self, room: RoomNumber, before: Timestamp) -> Result<u64, Error> {
        let (store, mut purged) = (self.store(), 0);
        let mut rest = Some(jump::before(room, before.as_millis()));
        while let Some(range) = rest.take() {
            let page = store.scan(&range, Direction::Forward, limits::PURGED_AT_ONCE).await;
            let page = page.map_err(Error::storage("looking for old events"))?;
            purged += self.purge_page(room, &page.rows).await?;
            rest = page.rest;
        }
        Ok(purged)
    }

    async fn purge_page(&self, room: RoomNumber, rows: &[Row]) -> Result<u64, Error> {
        for _ in 0..limits::APPEND_ATTEMPTS {
            let (head, was) = head_of(self.store(), room).await?.ok_or(Refusal::NoSuchRoom)?;
            let graph = Graph::new(self.store(), room, RoomVersion::of(&head.version)?);
            let mut batch = Batch::new();
            let purged = gather(&mut batch, &graph, rows, &head.extremities).await?;
            if purged == 0 {
                return Ok(0);
            }
            // What messages are counted by is read and written, so nobody may append meanwhile.
            require_head(&mut batch, room, was);
            match self.store().commit(batch).await {
                Err(error) if error.is_conflict() => {}
                other => return other.map(|_| purged).map_err(Error::storage("removing old events")),
            }
        }
        Err(Error::Busy { attempts: limits::APPEND_ATTEMPTS })
    }

    /// Makes everybody of this server leave `room`, and takes it out of the store.
    ///
    /// # Errors
    /// [`Refusal::NoSuchRoom`]; as every append and commit. Ask again to go on.
    pub async fn shut_down(&self, room: &RoomId) -> Result<(), Error> {
        let number = self.number_of(room).await?;
        for there in members(self.store(), number).await? {
            let is_ours = there.user.server_name() == self.server();
            if is_ours && matches!(there.membership.as_str(), "join" | "invite" | "knock") {
                let leave = MembershipChange::new(&*there.user, &*there.user, Change::Leave);
                self.set_membership(room, &leave).await?;
            }
        }
        self.purge_room(room).await
    }

    /// Takes a room that nobody of this server is in out of the store.
    ///
    /// # Errors
    /// [`Refusal::NoSuchRoom`], [`Refusal::BadState`] when somebody is; as every commit. Once the room is known no more, what
    /// fails is done at the next start.
    pub async fn purge_room(&self, room: &RoomId) -> Result<(), Error> {
        let number = self.begin_purge(room).await?;
        self.finish_purge(number).await
    }

    /// Makes a room known no more; the rest of it is still there.
    pub(super) async fn begin_purge(&self, room: &RoomId) -> Result<RoomNumber, Error> {
        let number = self.number_of(room).await?;
        let (_, was) = head_of(self.store(), number).await?.ok_or(Refusal::NoSuchRoom)?;
        let is_there = |membership: &str| matches!(membership, "join" | "invite" | "knock");
        let there = members(self.store(), number).await?;
        if there.iter().any(|there| there.user.server_name() == self.server() && is_there(&there.membership)) {
            return Err(Refusal::BadState { what: "people of this server are in the room" }.into());
        }
        let mut batch = Batch::new();
        require_head(&mut batch, number, was);
        delete_room(&mut batch, room, number);
        directory::remove(&mut batch, number);
        alias::remove_all(self.store(), &mut batch, number).await?;
        batch.put(&Key::of(ROOM_GONE, &number), Vec::new());
        self.store().commit(batch).await.map_err(Error::storage("removing a room"))?;
        self.cache().forget_room(room);
        Ok(number)
    }

    /// Goes on with rooms whose removal was cut off.
    ///
    /// # Errors
    /// As every commit.
    pub async fn finish_purges(&self) -> Result<(), Error> {
        let page = self.store().scan(&KeyRange::table(ROOM_GONE), Direction::Forward, limits::SCAN_ROWS).await;
        for row in page.map_err(Error::storage("looking for rooms to remove"))?.rows {
            let room = row.key.parts().map_err(|error| Error::damaged(format!("a room to remove: {error}")))?;
            self.finish_purge(room).await?;
        }
        Ok(())
    }

    async fn finish_purge(&self, room: RoomNumber) -> Result<(), Error> {
        self.purge_rows(&KeyRange::prefix(ROOM_MEMBER, &room), move |batch, row| delete_membership(batch, room, row))
            .await?;
        self.purge_rows(&KeyRange::prefix(EVENT_JSON, &room), move |batch, row| {
            named(&row.value).iter().for_each(|id| delete_number(batch, room, id));
            Ok(())
        })
        .await?;
        for table in OWN.into_iter().chain([PARTIAL_EVENT]) {
            self.purge_rows(&KeyRange::prefix(table, &room), |_, _| Ok(())).await?;
        }
        let mut batch = Batch::new();
        batch.delete(&Key::of(ROOM_GONE, &room));
        self.store().commit(batch).await.map(drop).map_err(Error::storage("removing a room"))
    }

    /// Removes all rows of `range`, each with what `also` finds.
    async fn purge_rows(
        &self,
        range: &KeyRange,
        mut also: impl FnMut(&mut Batch, &Row) -> Result<(), Error> + Send,
    ) -> Result<(), Error> {
        loop {
            let page = self.store().scan(range, Direction::Forward, limits::PURGED_AT_ONCE).await;
            let page = page.map_err(Error::storage("looking for rows to remove"))?;
            if page.rows.is_empty() {
                return Ok(());
            }
            let mut batch = Batch::new();
            for row in &page.rows {
                also(&mut batch, row)?;
                batch.delete(&row.key);
            }
            self.store().commit(batch).await.map_err(Error::storage("removing rows of a room"))?;
        }
    }
}

/// All events that an event names, and itself where its id stands in it: those whose numbers lead to it or from it.
fn named(json: &[u8]) -> Vec<OwnedEventId> {
    fn walk(value: &serde_json::Value, found: &mut Vec<OwnedEventId>) {
        match value {
            serde_json::Value::String(text) if text.starts_with('$') => {
                found.extend(OwnedEventId::try_from(text.as_str()).ok());
            }
            serde_json::Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
            serde_json::Value::Object(fields) => fields.values().for_each(|field| walk(field, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    // What cannot be read names nothing.
    walk(&serde_json::from_slice(json).unwrap_or_default(), &mut found);
    found
}

/// Takes the messages among `rows` of the index of times away; how many.
async fn gather(batch: &mut Batch, graph: &Graph<'_>, rows: &[Row], extremities: &[EventNumber]) -> Result<u64, Error> {
    let room = graph.room();
    let places = rows.iter().map(|row| jump::place(&row.key)).collect::<Result<Vec<_>, _>>()?;
    let entries: Vec<Option<Entry>> = timeline::entries_at(graph.store(), &places).await?;
    let numbers: Vec<EventNumber> = entries.iter().flatten().map(|entry| entry.event).collect();
    let mut stored = graph.stored(&numbers).await?.into_iter();
    let (mut relations, mut purged) = (Relations::default(), 0);
    for (row, entry) in rows.iter().zip(entries) {
        let Some(entry) = entry else { continue };
        let Some(Some(event)) = stored.next() else { continue };
        if event.facts.files.is_some() || extremities.contains(&entry.event) {
            continue;
        }
        batch.delete(&row.key);
        timeline::delete(batch, room, &entry);
        take_away(batch, graph, &mut relations, &event).await?;
        purged += 1;
    }
    relations.put(batch, room, None);
    Ok(purged)
}

async fn take_away(
    batch: &mut Batch,
    graph: &Graph<'_>,
    relations: &mut Relations,
    event: &Stored,
) -> Result<(), Error> {
    let (room, Stored { number, facts, json }) = (graph.room(), event);
    let pdu = Pdu::read(graph.version(), facts.id.clone(), json.clone());
    let pdu = pdu.map_err(|error| Error::damaged(format!("a stored event: {error}")))?;
    words::remove(batch, room, &pdu, *number);
    relations.remove(batch, graph, event, &pdu).await?;
    let range = relates_range(room, *number, None);
    let page = graph.store().scan(&range, Direction::Forward, limits::SCAN_ROWS).await;
    page.map_err(Error::storage("reading relations"))?.rows.iter().for_each(|row| batch.delete(&row.key));
    delete_event(batch, room, *number, facts);
    Ok(())
}

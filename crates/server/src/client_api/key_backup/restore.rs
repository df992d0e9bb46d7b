//! Writing a key backup out page by page: a restore may have a hundred thousand sessions, and is never in memory as a
//! whole. A page is read when the one before has gone out, so a slow client holds nothing but its page.

use accounts::backup::{BackupPages, SavedSession};
use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use ruma::OwnedRoomId;

/// `{"rooms":{"!a:example.org":{"sessions":{…}},…}}`
pub(super) fn by_room(pages: BackupPages) -> Response {
    answer(Writer::new(pages, Rooms::All(None)))
}

/// `{"sessions":{…}}`
pub(super) fn of_room(pages: BackupPages) -> Response {
    answer(Writer::new(pages, Rooms::One))
}

fn answer(writer: Writer) -> Response {
    let pieces = stream::unfold(writer, |mut writer| async move {
        let piece = writer.next().await?;
        Some((piece, writer))
    });
    ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(pieces)).into_response()
}

/// Which rooms are written.
enum Rooms {
    /// One, which is not named.
    One,
    /// All; the one that is being written.
    All(Option<OwnedRoomId>),
}

struct Writer {
    pages: BackupPages,
    rooms: Rooms,
    /// Whether anything has been written.
    started: bool,
    /// Whether there is a session before the next in the same object.
    follows: bool,
    ended: bool,
}

impl Writer {
    fn new(pages: BackupPages, rooms: Rooms) -> Self {
        Self { pages, rooms, started: false, follows: false, ended: false }
    }

    /// The next piece of the answer. One that cannot be read breaks the answer off, so that no client takes what it has for
    /// everything.
    async fn next(&mut self) -> Option<Result<Bytes, accounts::Error>> {
        if self.ended {
            return None;
        }
        let mut out = String::new();
        if !std::mem::replace(&mut self.started, true) {
            out.push_str(if matches!(self.rooms, Rooms::One) { "{\"sessions\":{" } else { "{\"rooms\":{" });
        }
        match self.pages.next().await {
            Ok(Some(page)) => page.iter().for_each(|saved| self.write(&mut out, saved)),
            Ok(None) => {
                self.ended = true;
                out.push_str(match &self.rooms {
                    Rooms::One | Rooms::All(None) => "}}",
                    Rooms::All(Some(_)) => "}}}}",
                });
            }
            Err(error) => {
                self.ended = true;
                tracing::error!(%error, "reading a key backup broke off");
                return Some(Err(error));
            }
        }
        Some(Ok(out.into()))
    }

    fn write(&mut self, out: &mut String, saved: &SavedSession) {
        if let Rooms::All(current) = &mut self.rooms
            && current.as_ref() != Some(&saved.room)
        {
            if current.is_some() {
                out.push_str("}},");
            }
            out.push_str(&quoted(saved.room.as_str()));
            out.push_str(":{\"sessions\":{");
            *current = Some(saved.room.clone());
            self.follows = false;
        }
        if self.follows {
            out.push(',');
        }
        out.push_str(&quoted(&saved.session));
        out.push(':');
        out.push_str(saved.json.get());
        self.follows = true;
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

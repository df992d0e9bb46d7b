//! Events set aside, for the command that looks after them: what may be asked, and what the answer is. Never what an event
//! says.

use std::sync::Arc;

use base::limits;
use rooms::Rooms;
use rooms::ingest::{Digest, NoFetch, Replayed, SetAside};
use serde::{Deserialize, Serialize};

/// What may be asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum QuarantineRequest {
    /// All that are set aside.
    List,
    /// One of them.
    Show {
        /// Which, as the list names it.
        which: String,
    },
    /// One of them, to be worked on again.
    Replay {
        /// Which, as the list names it.
        which: String,
    },
}

/// The answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum QuarantineAnswer {
    /// These are set aside.
    Events(Vec<Item>),
    /// There is no such event.
    Unknown,
    /// It could be worked on; this became of it.
    Done(String),
    /// It could not, again.
    Again(Item),
}

/// An event that is set aside.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Item {
    /// What names it.
    pub(crate) which: String,
    /// Who, where, why.
    pub(crate) event: SetAside,
}

/// Answers.
///
/// # Errors
/// As the rooms; when what names the event is no such name.
pub(crate) async fn answer(rooms: &Arc<Rooms>, request: &QuarantineRequest) -> Result<QuarantineAnswer, String> {
    let text = |error: rooms::Error| error.to_string();
    let item = |digest: Digest, event| Item { which: digest.to_string(), event };
    match request {
        QuarantineRequest::List => {
            let events = rooms.set_aside(limits::SCAN_ROWS).await.map_err(text)?;
            Ok(QuarantineAnswer::Events(events.into_iter().map(|(digest, event)| item(digest, event)).collect()))
        }
        QuarantineRequest::Show { which } => {
            let digest = digest(which)?;
            let event = rooms.one_set_aside(digest).await.map_err(text)?;
            Ok(event.map_or(QuarantineAnswer::Unknown, |event| QuarantineAnswer::Events(vec![item(digest, event)])))
        }
        QuarantineRequest::Replay { which } => {
            let digest = digest(which)?;
            // Other servers are not asked yet for what the event lacks.
            Ok(match rooms.replay(digest, &NoFetch).await.map_err(text)? {
                Replayed::Unknown => QuarantineAnswer::Unknown,
                Replayed::Done(verdict) => QuarantineAnswer::Done(format!("{verdict:?}")),
                Replayed::Again(event) => QuarantineAnswer::Again(item(digest, *event)),
            })
        }
    }
}

fn digest(which: &str) -> Result<Digest, String> {
    which.parse().map_err(|error: rooms::ingest::NoDigest| error.to_string())
}

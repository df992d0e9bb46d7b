//! The directory of the users of this server: by the words of their names. Whom of those found a searcher may see is not
//! decided here; it depends on rooms.

use std::collections::BTreeSet;

use base::limits;
use bytes::Bytes;
use ruma::{OwnedUserId, UserId};
use storage::table::DIRECTORY_NAME;
use storage::{Batch, Direction, Key, KeyRange, Record};

use crate::accounts::Accounts;
use crate::error::Error;
use crate::profile::{AVATAR_URL, DISPLAY_NAME, ProfileRecord, key};
use crate::user::digest;

/// A user that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// Who.
    pub user_id: OwnedUserId,
    /// The name.
    pub display_name: Option<String>,
    /// The picture.
    pub avatar_url: Option<String>,
}

/// The words by which somebody is found, in lower case, each cut to what fits a key.
fn words(text: &str) -> BTreeSet<String> {
    let lower = text.to_lowercase();
    let words = lower.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(cut).take(limits::DIRECTORY_WORDS).collect()
}

fn cut(word: &str) -> String {
    word.chars().take(limits::DIRECTORY_WORD_CHARACTERS).collect()
}

/// The words of a user called `name`.
fn words_of(user: &UserId, name: &str) -> BTreeSet<String> {
    let mut found = words(name);
    found.extend(words(user.localpart()));
    found.insert(cut(&user.localpart().to_lowercase()));
    found
}

fn name_key(word: &str, user: &UserId) -> Key {
    Key::of(DIRECTORY_NAME, &(word.to_owned(), digest(user)))
}

/// Files `user` under the words of the second name, and no longer under those of the first; `None`: under no words.
pub(crate) fn put_names(batch: &mut Batch, user: &UserId, names: [Option<String>; 2]) {
    let [before, after] = names.map(|name| name.map(|name| words_of(user, &name)).unwrap_or_default());
    before.difference(&after).for_each(|word| batch.delete(&name_key(word, user)));
    for word in &after {
        batch.put(&name_key(word, user), Bytes::copy_from_slice(user.as_bytes()));
    }
}

impl Accounts {
    /// Users of this server who have, for each word of `term`, a word in their name or id that begins with it; the best
    /// ones first, at most [`limits::DIRECTORY_CANDIDATES`].
    ///
    /// # Errors
    /// As every read.
    pub async fn search_directory(&self, term: &str) -> Result<Vec<DirectoryEntry>, Error> {
        // Of a whole user id only the local part tells users of one server apart.
        let term = match term.strip_prefix('@').and_then(|id| id.split_once(':')) {
            Some((localpart, server)) if self.server().as_str().starts_with(&server.to_lowercase()) => localpart,
            _ => term,
        };
        let wanted = words(term);
        // The longest word leaves the fewest to look at.
        let Some(longest) = wanted.iter().max_by_key(|word| word.len()) else { return Ok(Vec::new()) };
        let start = Key::of(DIRECTORY_NAME, &(longest.clone(), [0; 32]));
        let end = Key::of(DIRECTORY_NAME, &(format!("{longest}\u{10ffff}"), [0; 32]));
        let range = KeyRange::between(&start, &end);
        let page = self.store().scan(&range, Direction::Forward, limits::DIRECTORY_CANDIDATES).await;
        let rows = page.map_err(Error::storage("searching the directory"))?.rows;
        let users = rows.iter().filter_map(|row| UserId::parse(str::from_utf8(&row.value).ok()?).ok());
        let users: BTreeSet<OwnedUserId> = users.collect();
        let keys: Vec<Key> = users.iter().map(|user| key(user)).collect();
        let rows = self.store().engine().get_many(&keys).await.map_err(Error::storage("searching the directory"))?;
        let mut found = Vec::new();
        for (user_id, row) in users.into_iter().zip(rows) {
            let record = row.map(|row| ProfileRecord::decode(&row.value)).transpose();
            let record = record.map_err(|error| Error::damaged(format!("a profile: {error}")))?.unwrap_or_default();
            let (display_name, avatar_url) = (record.text(DISPLAY_NAME), record.text(AVATAR_URL));
            let names = words_of(&user_id, display_name.as_deref().unwrap_or_default());
            if wanted.iter().all(|word| names.iter().any(|name| name.starts_with(word.as_str()))) {
                found.push(DirectoryEntry { user_id, display_name, avatar_url });
            }
        }
        let term = term.to_lowercase();
        found.sort_by_cached_key(|entry| {
            let name = entry.display_name.as_deref().unwrap_or_default().to_lowercase();
            let is_exact = name == term || entry.user_id.localpart() == term;
            (!is_exact, name.is_empty(), name, entry.user_id.clone())
        });
        Ok(found)
    }
}

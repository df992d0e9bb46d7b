//! How people present themselves in rooms: the profile of a member event, and its change in all rooms where somebody is.

use ruma::{CanonicalJsonObject, CanonicalJsonValue};

/// What a member event says of its user (<https://spec.matrix.org/v1.19/client-server-api/#mroommember>).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// The name to show.
    pub displayname: Option<String>,
    /// The picture to show, as an `mxc:` URI.
    pub avatar_url: Option<String>,
}

impl Profile {
    /// Writes it into the content of a member event.
    pub(super) fn put(&self, content: &mut CanonicalJsonObject) {
        let fields = [("displayname", &self.displayname), ("avatar_url", &self.avatar_url)];
        for (name, value) in fields {
            if let Some(value) = value {
                content.insert(name.to_owned(), CanonicalJsonValue::String(value.clone()));
            }
        }
    }
}

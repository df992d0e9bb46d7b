//! Versioned records that migrate on read. A stored record begins with its version; reading an older one decodes that
//! version's type and walks forward, so no release ever needs a stop-the-world migration.
//!
//! The body is postcard: compact, and stable between its releases.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// What is stored as a table's value.
///
/// A first version is declared by [`first_version!`](crate::first_version). A later one names the type before it and how to make itself from
/// that; the older type stays in the code for as long as data directories of its time may exist, which is for ever.
pub trait Record: Serialize + DeserializeOwned {
    /// This type's version. One more than [`Record::Previous`]'s.
    const VERSION: u8;
    /// The type that was stored before this one.
    type Previous: Record;

    /// Makes this record from the one stored before.
    fn migrate(previous: Self::Previous) -> Self;

    /// The stored form.
    fn encode(&self) -> Vec<u8> {
        // Writing to a vector fails only for types that no record may have (maps of unknown length, for one), which
        // the round-trip test of every record shows.
        postcard::to_extend(self, vec![Self::VERSION]).unwrap_or_default()
    }

    /// Reads a stored form of this or any earlier version.
    ///
    /// # Errors
    /// When the version is unknown (a newer release wrote it) or the bytes are not such a record.
    fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let (version, body) = bytes.split_first().ok_or(RecordError::Empty)?;
        if *version == Self::VERSION {
            return match postcard::take_from_bytes(body) {
                Ok((record, [])) => Ok(record),
                Ok(_) => Err(RecordError::TooLong),
                Err(source) => Err(RecordError::Body(source)),
            };
        }
        if *version > Self::VERSION || Self::VERSION <= NoPrevious::VERSION + 1 {
            return Err(RecordError::Version { found: *version, newest: Self::VERSION });
        }
        Self::Previous::decode(bytes).map(Self::migrate)
    }
}

/// Why a stored record could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Not even a version.
    #[error("the record is empty")]
    Empty,
    /// A version that this release does not know.
    #[error(
        "the record has version {found}, this release knows versions up to {newest}: it was written by a newer one"
    )]
    Version {
        /// The version found.
        found: u8,
        /// The newest version known.
        newest: u8,
    },
    /// Bytes are left over.
    #[error("the record is longer than it should be")]
    TooLong,
    /// The body is not such a record.
    #[error("the record's body cannot be read: {0}")]
    Body(postcard::Error),
}

/// What the first version of a record has before it: nothing, and it can be neither made nor read.
#[derive(Debug, Serialize, serde::Deserialize)]
pub enum NoPrevious {}

/// Says of records that this is their first version.
#[macro_export]
macro_rules! first_version {
    ($($record:ty),* $(,)?) => {$(
        impl $crate::Record for $record {
            const VERSION: u8 = 1;
            type Previous = $crate::NoPrevious;

            fn migrate(previous: $crate::NoPrevious) -> Self {
                match previous {}
            }
        }
    )*};
}

impl Record for NoPrevious {
    const VERSION: u8 = 0;
    type Previous = Self;

    fn migrate(previous: Self) -> Self {
        previous
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct First {
        name: String,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Second {
        name: String,
        seen: u64,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Third {
        names: Vec<String>,
        seen: u64,
    }

    impl Record for First {
        const VERSION: u8 = 1;
        type Previous = NoPrevious;
        fn migrate(previous: NoPrevious) -> Self {
            match previous {}
        }
    }

    impl Record for Second {
        const VERSION: u8 = 2;
        type Previous = First;
        fn migrate(previous: First) -> Self {
            Self { name: previous.name, seen: 0 }
        }
    }

    impl Record for Third {
        const VERSION: u8 = 3;
        type Previous = Second;
        fn migrate(previous: Second) -> Self {
            Self { names: vec![previous.name], seen: previous.seen }
        }
    }

    #[test]
    fn every_earlier_version_is_read_and_walks_forward() {
        let third = Third { names: vec!["a".into()], seen: 0 };
        assert_eq!(Third::decode(&First { name: "a".into() }.encode()), Ok(third));
        let later = Third { names: vec!["b".into()], seen: 9 };
        assert_eq!(Third::decode(&Second { name: "b".into(), seen: 9 }.encode()), Ok(later));
        let now = Third { names: vec![], seen: 1 };
        assert_eq!(Third::decode(&now.encode()), Ok(now));
    }

    #[test]
    fn a_newer_version_and_broken_bytes_are_refused_with_the_reason() {
        let newer = Third { names: vec![], seen: 1 }.encode();
        assert_eq!(Second::decode(&newer), Err(RecordError::Version { found: 3, newest: 2 }));
        assert_eq!(First::decode(&[0]), Err(RecordError::Version { found: 0, newest: 1 }));
        assert_eq!(First::decode(&[]), Err(RecordError::Empty));
        let mut long = First { name: "a".into() }.encode();
        long.push(0);
        assert_eq!(First::decode(&long), Err(RecordError::TooLong));
        assert!(matches!(First::decode(&[1, 9, b'a']), Err(RecordError::Body(_))));
    }
}

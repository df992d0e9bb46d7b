//! Upload, download and thumbnails.

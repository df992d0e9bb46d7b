//! Media in a folder of their own to test with.

use std::sync::Arc;

use base::{Clock, Random, Timestamp};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use ruma::{UserId, owned_server_name, user_id};
use storage::{EngineChoice, Store, StoreOptions};
use tempfile::TempDir;

use crate::media::{Media, MediaOptions};

/// Who uploads.
pub(crate) fn alice() -> &'static UserId {
    user_id!("@alice:localhost")
}

/// Media that take at most 1 MiB, and the folder they live in.
pub(crate) async fn open() -> (Arc<Media>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut options = StoreOptions::new(folder.path(), EngineChoice::Embedded);
    options.clock = Clock::simulated(Timestamp(1_000_000));
    options.random = Random::seeded(1);
    let store = Arc::new(Store::open(options).await.unwrap());
    let options = MediaOptions { server: owned_server_name!("localhost"), max_upload_bytes: 1 << 20 };
    (Media::open(store, options).await.unwrap(), folder)
}

/// A picture in `format`.
pub(crate) fn picture(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let shade = |x: u32, y: u32| Rgb([u8::try_from(x % 256).unwrap(), u8::try_from(y % 256).unwrap(), 128]);
    let mut bytes = std::io::Cursor::new(Vec::new());
    DynamicImage::from(RgbImage::from_fn(width, height, shade)).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

//! Uploads, downloads and thumbnails on a disk.

use std::time::Duration;

use base::limits;
use bytes::Bytes;
use image::ImageFormat;
use ruma::{OwnedMxcUri, server_name, user_id};

use crate::content::Pieces;
use crate::error::{Error, Refusal};
use crate::fixture::{alice, open, picture};
use crate::media::Media;
use crate::thumbnail::{Method, Wanted};
use crate::upload::Described;

const NOW: Duration = Duration::ZERO;

async fn upload(media: &std::sync::Arc<Media>, bytes: impl Into<Bytes>) -> OwnedMxcUri {
    let mut upload = media.begin(alice(), None).await.unwrap();
    upload.write(bytes.into()).await.unwrap();
    upload.finish(Described::default()).await.unwrap()
}

fn id(uri: &OwnedMxcUri) -> &str {
    uri.media_id().unwrap()
}

async fn read(mut pieces: Pieces) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(piece) = pieces.next().await.unwrap() {
        assert!(piece.len() <= limits::MEDIA_PIECE_BYTES);
        all.extend_from_slice(&piece);
    }
    all
}

fn refused<T: std::fmt::Debug>(outcome: Result<T, Error>) -> Refusal {
    match outcome {
        Err(Error::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_was_uploaded_is_given_back_whole_and_in_parts() {
    let (media, _folder) = open().await;
    let bytes: Vec<u8> = (0..3 * limits::MEDIA_PIECE_BYTES + 5).map(|n| u8::try_from(n % 251).unwrap()).collect();
    let mut upload = media.begin(alice(), Some(bytes.len() as u64)).await.unwrap();
    for piece in bytes.chunks(100_000) {
        upload.write(Bytes::copy_from_slice(piece)).await.unwrap();
    }
    let described = Described { content_type: Some("text/plain".to_owned()), filename: Some("a.txt".to_owned()) };
    let uri = upload.finish(described).await.unwrap();
    assert_eq!(uri.server_name().unwrap(), media.server());

    let content = async || media.content(media.server(), id(&uri), NOW).await.unwrap();
    let found = content().await;
    assert_eq!((found.content_type.as_deref(), found.filename.as_deref()), (Some("text/plain"), Some("a.txt")));
    assert_eq!(found.bytes, bytes.len() as u64);
    assert_eq!(read(found.whole()).await, bytes);
    assert_eq!(read(content().await.part(131_000, 300)).await, bytes[131_000..131_300]);
    assert_eq!(read(content().await.part(393_215, 999_999)).await, bytes[393_215..]);
    assert_eq!(read(content().await.part(999_999_999, 1)).await, b"");
}

#[tokio::test]
async fn what_is_too_large_is_refused_as_soon_as_it_is_known() {
    let (media, _folder) = open().await;
    assert_eq!(refused(media.begin(alice(), Some((1 << 20) + 1)).await), Refusal::TooLarge { most: 1 << 20 });
    let mut upload = media.begin(alice(), None).await.unwrap();
    upload.write(Bytes::from(vec![0; 1 << 20])).await.unwrap();
    assert_eq!(refused(upload.write(Bytes::from_static(b"x")).await), Refusal::TooLarge { most: 1 << 20 });
}

#[tokio::test]
async fn the_same_content_uploaded_by_many_at_once_is_named_for_each() {
    let (media, folder) = open().await;
    let uploads = (0..8).map(|_| upload(&media, "the same"));
    let uris = futures_of(uploads).await;
    for uri in &uris {
        assert_eq!(read(media.content(media.server(), id(uri), NOW).await.unwrap().whole()).await, b"the same");
    }
    let names: std::collections::BTreeSet<_> = uris.iter().collect();
    assert_eq!(names.len(), 8);
    let files = std::fs::read_dir(folder.path().join("blobs")).unwrap().count();
    assert_eq!(files, 2, "one folder with the content, and that of new files");
}

async fn futures_of<T: Send + 'static>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut done = Vec::new();
    let mut all: Vec<_> = all.map(Box::pin).collect();
    std::future::poll_fn(|context| {
        all.retain_mut(|one| match one.as_mut().poll(context) {
            std::task::Poll::Ready(value) => {
                done.push(value);
                false
            }
            std::task::Poll::Pending => true,
        });
        if all.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done
}

#[tokio::test]
async fn what_is_not_here_is_not_found() {
    let (media, _folder) = open().await;
    for wrong in ["AAAAAAAAAAAAAAAAAAAAAAAA", "", "../../etc/passwd", "a b", &"a".repeat(65)] {
        assert_eq!(refused(media.content(media.server(), wrong, NOW).await), Refusal::NotFound, "{wrong}");
    }
    let elsewhere = media.content(server_name!("example.org"), "AAAA", NOW).await;
    assert_eq!(refused(elsewhere), Refusal::NeedsFederation);
}

#[tokio::test]
async fn created_media_is_waited_for_and_its_content_comes_once_and_from_its_creator() {
    let (media, _folder) = open().await;
    let created = media.create(alice()).await.unwrap();
    let name = id(&created.uri).to_owned();
    assert_eq!(refused(media.content(media.server(), &name, NOW).await), Refusal::NotYetUploaded);
    let bob = user_id!("@bob:localhost");
    let begin = async |user| media.begin_created(user, media.server(), &name, None).await;
    assert_eq!(refused(begin(bob).await), Refusal::NotTheCreator);

    let patience = Duration::from_secs(30);
    let (content, finished) = tokio::join!(media.content(media.server(), &name, patience), async {
        let (mut first, second) = (begin(alice()).await.unwrap(), begin(alice()).await.unwrap());
        first.write(Bytes::from_static(b"late")).await.unwrap();
        let uri = first.finish(Described::default()).await;
        (uri.unwrap(), second.finish(Described::default()).await)
    });
    assert_eq!(read(content.unwrap().whole()).await, b"late");
    assert_eq!(finished.0, created.uri);
    assert_eq!(refused(finished.1), Refusal::CannotOverwrite);
    assert_eq!(refused(begin(alice()).await), Refusal::CannotOverwrite);
}

#[tokio::test]
async fn created_media_expires_and_nobody_creates_too_much() {
    let (media, _folder) = open().await;
    let first = media.create(alice()).await.unwrap();
    for _ in 1..limits::MEDIA_PENDING_PER_USER {
        media.create(alice()).await.unwrap();
    }
    assert_eq!(refused(media.create(alice()).await), Refusal::TooManyPending);
    media.create(user_id!("@bob:localhost")).await.unwrap();

    media.store.clock().jump(i64::try_from(limits::MEDIA_PENDING_LIFETIME.as_millis()).unwrap());
    assert_eq!(refused(media.content(media.server(), id(&first.uri), NOW).await), Refusal::NotFound);
    let late = media.begin_created(alice(), media.server(), id(&first.uri), None).await;
    assert_eq!(refused(late), Refusal::NotFound);
    let next = media.create(alice()).await.unwrap();
    media.collect("here").await.unwrap();
    assert_eq!(refused(media.content(media.server(), id(&next.uri), NOW).await), Refusal::NotYetUploaded);
    let left =
        media.store.scan(&storage::KeyRange::table(storage::table::MEDIA), storage::Direction::Forward, 999).await;
    assert_eq!(left.unwrap().rows.len(), 1, "only the last is still there");
}

#[tokio::test]
async fn a_collection_leaves_what_is_referred_to() {
    let (media, _folder) = open().await;
    let kept = upload(&media, "kept").await;
    drop(media.begin(alice(), None).await.unwrap());
    media.store.clock().jump(i64::try_from(2 * limits::BLOB_GRACE.as_millis()).unwrap());
    media.collect("here").await.unwrap();
    media.collect("here").await.unwrap();
    assert_eq!(read(media.content(media.server(), id(&kept), NOW).await.unwrap().whole()).await, b"kept");
}

/// The size and type of the thumbnail of `bytes`.
async fn thumbnail(media: &std::sync::Arc<Media>, bytes: Vec<u8>, wanted: Wanted) -> (u32, u32, Option<String>) {
    let uri = upload(media, bytes).await;
    let made = media.thumbnail(media.server(), id(&uri), wanted, NOW).await.unwrap();
    let content_type = made.content_type.clone();
    let image = image::load_from_memory(&read(made.whole()).await).unwrap();
    (image.width(), image.height(), content_type)
}

#[tokio::test]
async fn thumbnails_have_the_sizes_of_the_list_and_are_made_once() {
    let (media, _folder) = open().await;
    let wanted = |width, height, method| Wanted { width, height, method };
    let jpeg = Some("image/jpeg".to_owned());
    for (format, asked, size) in [
        (ImageFormat::Jpeg, wanted(96, 96, Method::Crop), (96, 96)),
        (ImageFormat::Jpeg, wanted(40, 40, Method::Crop), (96, 96)),
        (ImageFormat::Png, wanted(320, 240, Method::Scale), (320, 160)),
        (ImageFormat::Png, wanted(500, 10, Method::Crop), (640, 320)),
        (ImageFormat::WebP, wanted(9_999, 9_999, Method::Scale), (800, 400)),
    ] {
        let made = thumbnail(&media, picture(1_000, 500, format), asked).await;
        assert_eq!(made, (size.0, size.1, jpeg.clone()), "{format:?} {asked:?}");
    }
    let small = thumbnail(&media, picture(50, 40, ImageFormat::Png), wanted(320, 240, Method::Scale)).await;
    assert_eq!(small, (50, 40, None), "the image itself");

    let uri = upload(&media, picture(900, 900, ImageFormat::Gif)).await;
    let twice = [(); 2].map(|()| media.thumbnail(media.server(), id(&uri), wanted(32, 32, Method::Crop), NOW));
    let hashes: Vec<_> = futures_of(twice.into_iter()).await.into_iter().map(|made| made.unwrap().hash).collect();
    assert_eq!(hashes[0], hashes[1]);
    let again = media.thumbnail(media.server(), id(&uri), wanted(32, 32, Method::Crop), NOW).await.unwrap();
    assert_eq!(again.hash, hashes[0]);
}

#[tokio::test]
async fn what_is_no_image_or_pretends_to_be_a_huge_one_gets_no_thumbnail() {
    let (media, _folder) = open().await;
    let wanted = Wanted { width: 32, height: 32, method: Method::Crop };
    let mut damaged = picture(400, 400, ImageFormat::Png);
    damaged.truncate(300);
    let mut huge = picture(400, 400, ImageFormat::Png);
    // The size in the header of a PNG, with a checksum that fits it.
    huge[16..24].copy_from_slice(&[0, 0, 0x70, 0, 0, 0, 0x70, 0]);
    let checksum = crc32(&huge[12..29]).to_be_bytes();
    huge[29..33].copy_from_slice(&checksum);
    for bytes in [b"no image".to_vec(), Vec::new(), damaged, huge] {
        let uri = upload(&media, bytes).await;
        let outcome = media.thumbnail(media.server(), id(&uri), wanted, NOW).await;
        assert!(matches!(refused(outcome), Refusal::NoThumbnail { .. }));
    }
}

/// The checksum of a PNG's chunk.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |mut crc, byte| {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1));
        }
        crc
    })
}

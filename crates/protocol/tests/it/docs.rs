//! What the documents say is checked here: the vector of `spec/pickles.md`, the paths that the walkthrough names, and the form
//! of every link to the specification.

use std::fs;
use std::path::{Path, PathBuf};

use protocol::cipher::{CipherKeys, MacLength};
use protocol::key::Ed25519SecretKey;
use protocol::megolm::InboundGroupSession;
use protocol::pickle::PickleKey;

use crate::hex;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The text inside the fence that begins with this line.
fn fenced<'a>(document: &'a str, fence: &str) -> &'a str {
    let (_, rest) = document.split_once(fence).expect("the fence");
    rest.split_once("```").expect("the end of the fence").0
}

/// Made from the page alone, with no code of the pickles.
#[test]
fn the_vector_of_the_pickles_opens_and_is_made_as_the_page_says() {
    let page = fs::read_to_string(root().join("spec/pickles.md")).unwrap();
    let vector = hex::bytes(fenced(&page, "```hex\n"));

    let (key, salt): (Vec<u8>, Vec<u8>) = ((0x00..=0x1f).collect(), (0x20..=0x3f).collect());
    let ratchet: Vec<u8> = (0x00..=0x7f).collect();
    let signing_key = Ed25519SecretKey::from_bytes(&[7; 32]).public_key();
    let body = [&[0][..], &ratchet, &[1, 2, 3, 4], signing_key.as_bytes(), &[1]].concat();
    let keys = CipherKeys::derive(&salt, &key, b"HOLDFAST_PICKLE");
    let mut made = [&[1, 4][..], &salt, &keys.encrypt(&body)].concat();
    let mac = keys.mac(&made);
    made.extend_from_slice(mac.tag(MacLength::Full));
    let text: String = made.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(made, vector, "made: {text}");

    let session = InboundGroupSession::unpickle(&vector, &PickleKey::from_bytes(&key.try_into().unwrap())).unwrap();
    assert_eq!((session.first_known_index(), session.signing_key_verified()), (0x0102_0304, true));
    assert_eq!(session.session_id(), signing_key.to_base64());
    assert_eq!(session.export().to_bytes()[5..133], ratchet);
}

/// Every path in back quotes, with or without a name behind a colon.
#[test]
fn every_path_that_the_walkthrough_names_exists() {
    let page = fs::read_to_string(root().join("docs/follow-one-message.md")).unwrap();
    let quoted = page.split('`').skip(1).step_by(2);
    let paths: Vec<_> = quoted.filter_map(|word| Some(&word[..word.find(".rs")? + 3])).collect();
    assert!(paths.len() > 20, "{} paths", paths.len());
    for path in paths {
        assert!(root().join("crates/protocol/src").join(path).is_file(), "{path}");
    }
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_link_to_the_specification_names_the_pinned_version() {
    let mut found = vec![];
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    let mut links = 0;
    for path in found {
        let text = fs::read_to_string(&path).unwrap();
        for rest in text.split("https://spec.matrix.org/").skip(1) {
            assert!(rest.starts_with("v1.19/"), "{}: {}", path.display(), &rest[..rest.len().min(40)]);
            links += 1;
        }
    }
    assert!(links > 20, "{links} links");
}

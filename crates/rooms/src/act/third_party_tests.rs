//! Invites by mail address, taken up with the signature of an identity server.

use ruma::api::client::membership::ThirdPartySigned;
use ruma::serde::Base64;
use ruma::signatures::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

use crate::act::fixture::{ALICE, BOB, CAROL, code, content, latest, made, membership, rooms, send, user};
use crate::act::{Change, MembershipChange};

/// PKCS#8, up to where the 32 bytes of a key stand.
const PREFIX: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

fn identity_server() -> Ed25519KeyPair {
    Ed25519KeyPair::from_der(&[PREFIX.as_slice(), &[9; 32]].concat(), "0".to_owned()).unwrap()
}

fn signed(mxid: &str, token: &str, sender: &str) -> ThirdPartySigned {
    let text = format!(r#"{{"mxid":"{mxid}","token":"{token}"}}"#);
    let signature = identity_server().sign(text.as_bytes()).base64();
    let signed = json!({
        "mxid": mxid, "token": token, "sender": sender, "signatures": { "id.one": { "ed25519:0": signature } },
    });
    serde_json::from_value(signed).unwrap()
}

#[tokio::test]
async fn an_invite_to_an_address_is_taken_up_by_whom_the_identity_server_names() {
    let rooms = rooms().await;
    let room = made(&rooms, latest(), json!({})).await.unwrap();
    let key = Base64::<ruma::serde::base64::Standard>::new(identity_server().public_key().to_vec()).encode();
    let invite: Value = json!({
        "display_name": "b…@one", "key_validity_url": "https://id.one/valid", "public_key": key,
        "public_keys": [{ "public_key": key }],
    });
    send(&rooms, &room, ALICE, "m.room.third_party_invite", Some("t"), invite).await.unwrap();
    let join = |who: &str| MembershipChange::new(user(who), user(who), Change::Join);
    let bad_token = signed(BOB, "other", ALICE);
    assert_eq!(code(rooms.join_invited(&room, &bad_token, &join(BOB)).await), "M_FORBIDDEN");
    assert_eq!(code(rooms.join_invited(&room, &signed(BOB, "t", ALICE), &join(CAROL)).await), "M_FORBIDDEN");
    let mut forged = signed(BOB, "t", ALICE);
    forged.mxid = user(CAROL).to_owned();
    assert_eq!(code(rooms.join_invited(&room, &forged, &join(CAROL)).await), "M_FORBIDDEN", "not what was signed");
    assert_eq!(code(rooms.join_invited(&room, &signed(BOB, "t", "@far:away"), &join(BOB)).await), "M_NOT_FOUND");
    rooms.join_invited(&room, &signed(BOB, "t", ALICE), &join(BOB)).await.unwrap();
    assert_eq!(membership(&rooms, &room, BOB).await.as_deref(), Some("join"));
    assert_eq!(content(&rooms, &room, "m.room.member", BOB).await.unwrap(), json!({ "membership": "join" }));
    assert_eq!(membership(&rooms, &room, CAROL).await, None);
}

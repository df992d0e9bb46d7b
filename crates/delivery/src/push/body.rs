//! What a gateway is told (<https://spec.matrix.org/v1.19/push-gateway-api/#post_matrixpushv1notify>).

use accounts::Pusher;
use rooms::notice::Announcement;
use ruma::api::client::push::PusherKind;
use ruma::push::{Action, PushFormat};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

#[derive(Serialize)]
struct Body<'a> {
    notification: Notification<'a>,
}

#[derive(Default, Serialize)]
struct Notification<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room_id: Option<&'a str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sender: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sender_display_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_is_target: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prio: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a RawValue>,
    counts: Counts,
    devices: [Device<'a>; 1],
}

/// Also zero is told: a badge has to go away some time.
#[derive(Default, Serialize)]
struct Counts {
    unread: u64,
}

#[derive(Default, Serialize)]
struct Device<'a> {
    app_id: &'a str,
    pushkey: &'a str,
    /// In seconds.
    pushkey_ts: u64,
    #[serde(skip_serializing_if = "Map::is_empty")]
    data: Map<String, Value>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    tweaks: Map<String, Value>,
}

/// The gateway of a pusher and, beside its address, what the client wants it to be told.
pub(super) fn gateway(pusher: &Pusher) -> Option<(&str, Map<String, Value>, bool)> {
    let PusherKind::Http(http) = &pusher.data.kind else { return None };
    let mut data = http.data.clone();
    if let Some(format) = &http.format {
        data.insert("format".to_owned(), Value::String(format.to_string()));
    }
    Some((&http.url, data, http.format == Some(PushFormat::EventIdOnly)))
}

fn device(pusher: &Pusher, data: Map<String, Value>, tweaks: Map<String, Value>) -> Device<'_> {
    let ids = &pusher.data.ids;
    let pushkey_ts = pusher.at.as_millis() / 1000;
    Device { app_id: &ids.app_id, pushkey: &ids.pushkey, pushkey_ts, data, tweaks }
}

/// Of an event, and how many there are unread with it.
pub(super) fn of_event(pusher: &Pusher, announced: &Announcement, actions: &[Action], unread: u64) -> Vec<u8> {
    let Some((_, data, id_only)) = gateway(pusher) else { return Vec::new() };
    let (pdu, tweaks) = (&announced.pdu, tweaks(actions));
    // What is encrypted may be anything, so it is told as if it were loud.
    let is_loud =
        announced.is_encrypted() || tweaks.contains_key("sound") || tweaks.get("highlight") == Some(&true.into());
    let mut notification = Notification {
        event_id: Some(pdu.id().as_str()),
        room_id: Some(announced.room_id.as_str()),
        prio: Some(if is_loud { "high" } else { "low" }),
        counts: Counts { unread },
        ..Notification::default()
    };
    if id_only {
        notification.devices = [device(pusher, data, Map::new())];
    } else {
        let kind = pdu.kind().to_string();
        notification.user_is_target = (kind == "m.room.member").then(|| pdu.state_key() == Some(pusher.user.as_str()));
        notification.kind = Some(kind);
        notification.sender = Some(pdu.sender().as_str());
        notification.sender_display_name = announced.sender_name.as_deref();
        notification.room_name = announced.room_name.as_deref();
        notification.content = (!announced.is_encrypted()).then(|| pdu.content());
        notification.devices = [device(pusher, data, tweaks)];
    }
    serde_json::to_vec(&Body { notification }).unwrap_or_default()
}

/// Of how many events are unread, when that changed without one.
pub(super) fn of_badge(pusher: &Pusher, unread: u64) -> Vec<u8> {
    let Some((_, data, _)) = gateway(pusher) else { return Vec::new() };
    let devices = [device(pusher, data, Map::new())];
    let notification = Notification { counts: Counts { unread }, devices, ..Notification::default() };
    serde_json::to_vec(&Body { notification }).unwrap_or_default()
}

/// Tweaks by their names; one without a value is true
/// (<https://spec.matrix.org/v1.19/client-server-api/#actions>).
fn tweaks(actions: &[Action]) -> Map<String, Value> {
    let tweak = |action: &Action| {
        let Ok(Value::Object(mut action)) = serde_json::to_value(action) else { return None };
        let Some(Value::String(name)) = action.remove("set_tweak") else { return None };
        Some((name, action.remove("value").unwrap_or(Value::Bool(true))))
    };
    actions.iter().filter_map(tweak).collect()
}

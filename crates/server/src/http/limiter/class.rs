//! What falls into which class, and how much of it there may be. The figures are for what a person does with several
//! clients at once, and a client that catches up after a night offline; who needs more is a script.

use std::time::Duration;

use axum::http::Method;

/// A kind of request that is counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Class {
    /// Anything of a user that is in no other class.
    General,
    /// Events sent into rooms.
    Send,
    /// Messages to devices: a key for a large room goes out in many.
    ToDevice,
    /// Rooms joined, knocked at and left.
    Join,
    /// People invited, kicked and banned.
    Invite,
    /// Rooms made and upgraded.
    Create,
    /// Searches of events, users and rooms.
    Search,
    /// Uploads.
    Upload,
    /// Reports to the administrators.
    Report,
    /// Logins from an address.
    Login,
    /// Passwords tried for one account, wherever from.
    Account,
    /// Accounts made from an address.
    Register,
    /// Names and tokens looked at before an account is made.
    Available,
}

impl Class {
    /// The time in which one more may be had, and how many may be had at once after a pause.
    pub(super) fn step_and_burst(self) -> (Duration, u32) {
        let (millis, burst) = match self {
            // A client at its start asks for some hundred members, avatars and keys.
            Self::General => (20, 1_000),
            // Ten a second for a minute is a bridge, and those are to be application services.
            Self::Send => (200, 100),
            Self::ToDevice => (50, 500),
            Self::Join => (1_000, 50),
            Self::Invite => (1_000, 100),
            Self::Create => (5_000, 30),
            Self::Search => (500, 50),
            Self::Upload => (500, 100),
            Self::Report | Self::Account => (10_000, 20),
            // An office behind one address comes to work.
            Self::Login => (2_000, 60),
            Self::Register => (20_000, 30),
            Self::Available => (1_000, 60),
        };
        (Duration::from_millis(millis), burst)
    }
}

/// The class in which a request counts for the user who sends it.
pub(crate) fn of_user(method: &Method, route: &str) -> Class {
    let (_, rest) = split(route);
    let mut parts = rest.split('/');
    match (method.as_str(), parts.next().unwrap_or_default()) {
        (_, "rooms") => of_room(method, parts.nth(1).unwrap_or_default()),
        ("PUT", "sendToDevice") => Class::ToDevice,
        ("POST", "join" | "knock") => Class::Join,
        ("POST", "createRoom") => Class::Create,
        ("POST", "search" | "publicRooms" | "user_directory") => Class::Search,
        ("POST" | "PUT", "upload") | ("POST", "create") => Class::Upload,
        ("POST", "users") if rest.ends_with("/report") => Class::Report,
        _ => Class::General,
    }
}

/// The class of a request on a room; `what` follows the room's id.
fn of_room(method: &Method, what: &str) -> Class {
    match (method.as_str(), what) {
        ("PUT", "send" | "state" | "redact") | ("POST", "send") => Class::Send,
        ("POST", "join" | "leave") => Class::Join,
        ("POST", "invite" | "kick" | "ban" | "unban") => Class::Invite,
        ("POST", "upgrade") => Class::Create,
        ("POST", "report") => Class::Report,
        _ => Class::General,
    }
}

/// The class in which a request counts for the address it comes from; `None` for what needs a session.
pub(crate) fn of_address(method: &Method, path: &str) -> Option<Class> {
    if !path.starts_with("/_matrix/client/") && !path.starts_with("/_synapse/") {
        return None;
    }
    let (_, rest) = split(path);
    match (method.as_str(), rest) {
        ("POST", "login" | "refresh") => Some(Class::Login),
        ("POST", "register") => Some(Class::Register),
        ("GET", "register/available" | "register/m.login.registration_token/validity") => Some(Class::Available),
        ("POST", rest) if rest.ends_with("/requestToken") => Some(Class::Available),
        _ => None,
    }
}

/// A path's beginning with its version (`/_matrix/client/v3/`), and what follows.
fn split(path: &str) -> (&str, &str) {
    let end = path.match_indices('/').nth(3).map_or(path.len(), |(at, _)| at + 1);
    path.split_at(end)
}

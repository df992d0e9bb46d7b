//! What people do in rooms: make them, speak, come and go, and what becomes of a room.

mod alias;
mod ban;
mod create_room;
mod forget;
mod invite;
mod join;
mod kick;
mod knock;
mod leave;
mod listed;
mod profile;
mod redact;
mod report;
mod send;
mod state;
mod unban;
mod upgrade;

#[cfg(test)]
mod tests;

use axum::http::Method;

use crate::http::Routes;

/// The endpoints of this folder.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .add(create_room::post)
        .add(send::put)
        .at(Method::PUT, &state::WITH_KEY, state::put)
        .at(Method::PUT, &state::WITHOUT_KEY, state::put_without_key)
        .at(Method::POST, &join::BY_ID, join::by_id)
        .at(Method::POST, &join::BY_ID_OR_ALIAS, join::by_id_or_alias)
        .add(knock::post)
        .add(invite::post)
        .add(leave::post)
        .add(kick::post)
        .add(ban::post)
        .add(unban::post)
        .add(forget::post)
        .add(redact::put)
        .add(upgrade::post)
        .add(alias::put)
        .add(alias::delete)
        .add(listed::put)
        .add(report::event)
        .add(report::room)
        .add(report::user)
}

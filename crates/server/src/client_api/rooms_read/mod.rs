//! Reading rooms over HTTP: timelines, states, members, what relates to what, and rooms from outside.

mod alias;
mod aliases;
mod context;
mod directory_visibility;
mod event;
mod eyes;
mod hierarchy;
mod initial_sync;
mod joined_members;
mod joined_rooms;
mod members;
mod messages;
mod mutual_rooms;
mod public_rooms;
mod relations;
mod search;
mod state;
mod state_event;
mod summary;
mod threads;
mod timestamp_to_event;

#[cfg(test)]
mod tests;

use axum::http::Method;

use crate::http::Routes;

/// The routes of this area.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .add(alias::get)
        .add(aliases::get)
        .at(Method::GET, &context::PATHS, context::get)
        .add(directory_visibility::get)
        .add(event::get)
        .add(hierarchy::get)
        .at(Method::GET, &initial_sync::PATHS, initial_sync::get)
        .add(joined_members::get)
        .add(joined_rooms::get)
        .add(members::get)
        .at(Method::GET, &messages::PATHS, messages::get)
        .add(mutual_rooms::get)
        .add(mutual_rooms::get_unstable)
        .add(public_rooms::get)
        .add(public_rooms::post)
        .add(relations::get)
        .add(relations::get_of_type)
        .add(relations::get_of_types)
        .add(search::post)
        .add(state::get)
        .add_and(&state_event::WITHOUT_KEY, state_event::get)
        .add_and(&summary::UNSTABLE, summary::get)
        .add(threads::get)
        .add(timestamp_to_event::get)
}

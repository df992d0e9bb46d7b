//! Push rules, pushers and what was notified (<https://spec.matrix.org/v1.19/client-server-api/#push-notifications>).

mod notifications;
mod pushers;
mod rule;
mod rule_actions;
mod rule_enabled;
mod rules;

#[cfg(test)]
mod gateway_tests;
#[cfg(test)]
mod tests;

use crate::http::Routes;

/// The routes of this area.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .add(rules::get_all)
        .add(rules::get_global)
        .add(rule::get)
        .add(rule::put)
        .add(rule::delete)
        .add(rule_enabled::get)
        .add(rule_enabled::put)
        .add(rule_actions::get)
        .add(rule_actions::put)
        .add(pushers::get)
        .add(pushers::post)
        .add(notifications::get)
}

//! `GET` and `PUT /_matrix/client/v3/pushrules/global/{kind}/{ruleId}/enabled`: whether a push rule applies
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3pushrulesglobalkindruleidenabled>).

use accounts::push_rules::Enabled;
use axum::extract::State;
use ruma::api::client::push::{get_pushrule_enabled, set_pushrule_enabled};

use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Answers whether it does.
pub(crate) async fn get(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<get_pushrule_enabled::v3::Request>,
) -> Result<RumaResponse<get_pushrule_enabled::v3::Response>, Error> {
    let rule = state.accounts.push_rule(&caller.user_id, body.kind, &body.rule_id).await?;
    Ok(RumaResponse(get_pushrule_enabled::v3::Response::new(rule.enabled())))
}

/// Switches it on or off.
pub(crate) async fn put(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<set_pushrule_enabled::v3::Request>,
) -> Result<RumaResponse<set_pushrule_enabled::v3::Response>, Error> {
    let on = if body.enabled { Enabled::Yes } else { Enabled::No };
    state.accounts.enable_push_rule(&caller.user_id, body.kind, &body.rule_id, on).await?;
    Ok(RumaResponse(set_pushrule_enabled::v3::Response::new()))
}

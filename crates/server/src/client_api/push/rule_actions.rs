//! `GET` and `PUT /_matrix/client/v3/pushrules/global/{kind}/{ruleId}/actions`: what a push rule does
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3pushrulesglobalkindruleidactions>).

use axum::extract::State;
use ruma::api::client::push::{get_pushrule_actions, set_pushrule_actions};

use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Answers with its actions.
pub(crate) async fn get(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<get_pushrule_actions::v3::Request>,
) -> Result<RumaResponse<get_pushrule_actions::v3::Response>, Error> {
    let rule = state.accounts.push_rule(&caller.user_id, body.kind, &body.rule_id).await?;
    Ok(RumaResponse(get_pushrule_actions::v3::Response::new(rule.actions().to_vec())))
}

/// Gives it other actions.
pub(crate) async fn put(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<set_pushrule_actions::v3::Request>,
) -> Result<RumaResponse<set_pushrule_actions::v3::Response>, Error> {
    state.accounts.set_push_rule_actions(&caller.user_id, body.kind, &body.rule_id, body.actions).await?;
    Ok(RumaResponse(set_pushrule_actions::v3::Response::new()))
}

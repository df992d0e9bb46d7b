//! `GET`, `PUT` and `DELETE /_matrix/client/v3/pushrules/global/{kind}/{ruleId}`: one push rule
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3pushrulesglobalkindruleid>).

use axum::extract::State;
use ruma::api::client::push::{delete_pushrule, get_pushrule, set_pushrule};

use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Answers with the rule.
pub(crate) async fn get(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<get_pushrule::v3::Request>,
) -> Result<RumaResponse<get_pushrule::v3::Response>, Error> {
    let rule = state.accounts.push_rule(&caller.user_id, body.kind, &body.rule_id).await?;
    Ok(RumaResponse(get_pushrule::v3::Response::new(rule.into())))
}

/// Adds the rule, changes or moves it.
pub(crate) async fn put(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<set_pushrule::v3::Request>,
) -> Result<RumaResponse<set_pushrule::v3::Response>, Error> {
    let (after, before) = (body.after.as_deref(), body.before.as_deref());
    state.accounts.put_push_rule(&caller.user_id, body.rule, after, before).await?;
    Ok(RumaResponse(set_pushrule::v3::Response::new()))
}

/// Removes the rule.
pub(crate) async fn delete(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<delete_pushrule::v3::Request>,
) -> Result<RumaResponse<delete_pushrule::v3::Response>, Error> {
    state.accounts.remove_push_rule(&caller.user_id, body.kind, &body.rule_id).await?;
    Ok(RumaResponse(delete_pushrule::v3::Response::new()))
}

//! User-interactive authentication in requests (<https://spec.matrix.org/v1.19/client-server-api/#user-interactive-authentication-api>):
//! reading the `auth` of a body. What is proven, `accounts` decides.

use accounts::{Asked, Attempt};
use serde_json::value::RawValue;

use crate::http::{AppState, Caller, Error};

/// What a client proves; `None` when it has not begun to.
pub(crate) fn attempt(auth: Option<&RawValue>) -> Result<Option<Attempt>, Error> {
    match auth {
        None => Ok(None),
        Some(auth) if auth.get() == "null" => Ok(None),
        Some(auth) => Ok(Some(Attempt::parse(auth)?)),
    }
}

/// Lets pass who proves the password of the caller's account for `operation`.
///
/// # Errors
/// With what is still to be proven.
pub(crate) async fn prove_caller(
    state: &AppState,
    caller: &Caller,
    operation: &str,
    auth: Option<&RawValue>,
) -> Result<(), Error> {
    let attempt = attempt(auth)?;
    state.accounts.prove(Asked::of_user(operation, &caller.user_id), attempt.as_ref()).await?;
    Ok(())
}

//! Who asks: from the access token of a request to the session it belongs to
//! (<https://spec.matrix.org/v1.19/client-server-api/#client-authentication>).

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::ops::Deref;

use accounts::Session;
use axum::extract::{FromRequestParts, MatchedPath};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use ruma::UserId;
use ruma::api::auth_scheme::{
    AccessToken, AccessTokenOptional, AppserviceToken, AppserviceTokenOptional, AuthScheme, NoAccessToken,
    NoAuthentication,
};

use super::errors::{Error, SoftLogout};
use super::state::AppState;
use super::{address, guests, limiter, query};

/// The endpoints that answer to locked accounts too
/// (<https://spec.matrix.org/v1.19/client-server-api/#account-locking>).
const FOR_LOCKED: [&str; 4] = [
    "/_matrix/client/v3/logout",
    "/_matrix/client/r0/logout",
    "/_matrix/client/v3/logout/all",
    "/_matrix/client/r0/logout/all",
];

/// The session that a request was sent in. As an argument of a handler: the endpoint needs an access token. What only some
/// may do is asked of the session: `caller.may_act()?`, `caller.is_no_guest()?`, `caller.may_administer()?`.
#[derive(Clone, Debug)]
pub(crate) struct Caller(Session);

impl Caller {
    /// For what everybody may only do for themselves.
    ///
    /// # Errors
    /// `M_FORBIDDEN` when it is somebody else.
    pub(crate) fn must_be(&self, user: &UserId) -> Result<(), Error> {
        if self.user_id == user {
            return Ok(());
        }
        Err(Error::refusal("M_FORBIDDEN", "you may only do this for yourself"))
    }
}

impl Deref for Caller {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.0
    }
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Error> {
        optional(parts, state).await?.ok_or_else(Error::missing_token)
    }
}

/// Who asks an endpoint that answers without a token, too. As an argument of a handler.
#[derive(Clone, Debug)]
pub(crate) struct MaybeCaller(pub(crate) Option<Caller>);

impl FromRequestParts<AppState> for MaybeCaller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Error> {
        optional(parts, state).await.map(Self)
    }
}

/// How an endpoint of ruma's finds out who asks.
pub(crate) trait Scheme: AuthScheme {
    /// What it knows of who asks.
    type Caller: fmt::Debug + Send;

    /// Finds it out.
    fn authenticate(parts: &Parts, state: &AppState) -> impl Future<Output = Result<Self::Caller, Error>> + Send;
}

impl Scheme for AccessToken {
    type Caller = Caller;

    async fn authenticate(parts: &Parts, state: &AppState) -> Result<Caller, Error> {
        optional(parts, state).await?.ok_or_else(Error::missing_token)
    }
}

impl Scheme for AccessTokenOptional {
    type Caller = Option<Caller>;

    async fn authenticate(parts: &Parts, state: &AppState) -> Result<Option<Caller>, Error> {
        optional(parts, state).await
    }
}

impl Scheme for NoAccessToken {
    type Caller = ();

    async fn authenticate(_: &Parts, _: &AppState) -> Result<(), Error> {
        Ok(())
    }
}

impl Scheme for NoAuthentication {
    type Caller = ();

    async fn authenticate(_: &Parts, _: &AppState) -> Result<(), Error> {
        Ok(())
    }
}

/// Clients send no token here, and no application service is known: its token is passed by.
impl Scheme for AppserviceTokenOptional {
    type Caller = ();

    async fn authenticate(_: &Parts, _: &AppState) -> Result<(), Error> {
        Ok(())
    }
}

/// No application service is known, so nobody has such a token.
impl Scheme for AppserviceToken {
    type Caller = ();

    async fn authenticate(parts: &Parts, _: &AppState) -> Result<(), Error> {
        match token(parts) {
            Some(_) => Err(Error::unknown_token(SoftLogout::No)),
            None => Err(Error::missing_token()),
        }
    }
}

async fn optional(parts: &Parts, state: &AppState) -> Result<Option<Caller>, Error> {
    let Some(token) = token(parts) else { return Ok(None) };
    let session = if FOR_LOCKED.contains(&parts.uri.path()) {
        state.accounts.session_to_end(&token).await?
    } else {
        state.accounts.session_of_token(&token).await?
    };
    let session = session.ok_or_else(|| Error::unknown_token(SoftLogout::No))?;
    if let Some(route) = parts.extensions.get::<MatchedPath>() {
        if session.is_guest && !guests::may(&parts.method, route.as_str(), parts.uri.path()) {
            session.is_no_guest()?;
        }
        state.limiter.take(limiter::of_user(&parts.method, route.as_str()), &session.user_id)?;
    }
    let address = address::client(&parts.extensions, &parts.headers, &state.config.trusted_proxies);
    let agent = parts.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    state.accounts.note_seen(&session, &address.to_string(), agent);
    Ok(Some(Caller(session)))
}

/// The access token of a request: in its `Authorization` header or, as old clients do, in its query
/// (<https://spec.matrix.org/v1.19/client-server-api/#using-access-tokens>).
fn token(parts: &Parts) -> Option<Cow<'_, str>> {
    match bearer(&parts.headers) {
        Some(token) => Some(token.into()),
        None => query::value(parts.uri.query()?, "access_token"),
    }
}

/// The token of an `Authorization` header of the scheme `Bearer`, whose name is spelt in any case.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start())
}

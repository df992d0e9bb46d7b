//! User-interactive authentication: whoever asks for something weighty proves again who they are, in stages
//! (<https://spec.matrix.org/v1.19/client-server-api/#user-interactive-authentication-api>).
//!
//! What was proven is kept in memory only, for a bounded number of clients and a bounded time: a client whose session is
//! gone is told so and begins again. A session is for one operation; what is asked for at its end must be what was asked
//! for at its beginning.
//!
//! Where to go: `attempt` reads what a client says; `sessions` keeps what was proven.

mod attempt;
mod sessions;

#[cfg(test)]
mod tests;

use ruma::UserId;
use ruma::api::client::uiaa::{AuthFlow, AuthType, UiaaInfo};
use ruma::api::error::{ErrorKind, StandardErrorBody};

use crate::accounts::Accounts;
use crate::error::{Error, Refusal};

pub use attempt::{Attempt, Proof};
pub(crate) use sessions::Sessions;
use sessions::UiaSession;

/// Something that can be proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Knowing the account's password.
    Password,
    /// Nothing.
    Dummy,
    /// Having a registration token.
    RegistrationToken,
}

impl Stage {
    fn auth_type(self) -> AuthType {
        match self {
            Self::Password => AuthType::Password,
            Self::Dummy => AuthType::Dummy,
            Self::RegistrationToken => AuthType::RegistrationToken,
        }
    }
}

/// What is asked for, and what must be proven for it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// What is to be done, with all that makes it this and nothing else: `"delete device ABC"`.
    pub operation: &'a str,
    /// Who asks; `None` where nobody is logged in.
    pub user: Option<&'a UserId>,
    /// The ways to prove it: the stages of one of these.
    pub flows: &'a [&'a [Stage]],
}

impl<'a> Asked<'a> {
    /// What a user proves with the password.
    pub const fn of_user(operation: &'a str, user: &'a UserId) -> Self {
        Self { operation, user: Some(user), flows: &[&[Stage::Password]] }
    }
}

/// All stages of a flow are done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proven {
    /// The registration token that was given on the way.
    pub registration_token: Option<String>,
}

impl Accounts {
    /// Checks what a client proves by `attempt`; `None`: it has not begun to.
    ///
    /// # Errors
    /// [`Error::MoreAuth`] with what is still to be proven; [`Refusal::Forbidden`] when the session was begun for something
    /// else, or somebody else's password was given; as every read.
    pub async fn prove(&self, asked: Asked<'_>, attempt: Option<&Attempt>) -> Result<Proven, Error> {
        let Some(attempt) = attempt else { return Err(self.challenge(asked, None, UiaSession::new(asked), None)) };
        let now = self.store().clock().monotonic();
        let mut session = match &attempt.session {
            Some(id) => match self.uia.get(id, now) {
                Some(session) if session.is_for(asked) => session,
                Some(_) => return Err(Refusal::forbidden("this session was begun for something else").into()),
                None => {
                    let gone = Refusal::forbidden("this session has expired or never was");
                    return Err(self.challenge(asked, None, UiaSession::new(asked), Some(&gone)));
                }
            },
            None => UiaSession::new(asked),
        };
        let outcome = self.check_proof(asked, &attempt.proof, &mut session).await;
        match outcome {
            Ok(()) if session.completes(asked.flows) => {
                if let Some(id) = &attempt.session {
                    self.uia.remove(id);
                }
                Ok(Proven { registration_token: session.registration_token })
            }
            Ok(()) => Err(self.challenge(asked, attempt.session.clone(), session, None)),
            Err(Error::Refused(refusal @ (Refusal::WrongPassword | Refusal::InvalidParam { .. }))) => {
                Err(self.challenge(asked, attempt.session.clone(), session, Some(&refusal)))
            }
            Err(error) => Err(error),
        }
    }

    async fn check_proof(&self, asked: Asked<'_>, proof: &Proof, session: &mut UiaSession) -> Result<(), Error> {
        let stage = match proof {
            Proof::Nothing => return Ok(()),
            Proof::Unknown => return Err(Refusal::invalid("this stage is not asked for").into()),
            Proof::Dummy => Stage::Dummy,
            Proof::Password { .. } => Stage::Password,
            Proof::RegistrationToken(_) => Stage::RegistrationToken,
        };
        if !asked.flows.iter().any(|flow| flow.contains(&stage)) {
            return Err(Refusal::invalid("this stage is not asked for").into());
        }
        match proof {
            Proof::Password { user: named, password } => {
                let named = named.as_deref().map(|name| self.user_of_login(name));
                let user = asked.user.ok_or(Refusal::WrongPassword)?;
                if named.is_some_and(|named| named.as_deref() != Some(user)) {
                    return Err(Refusal::forbidden("this is another user's password").into());
                }
                self.check_password(user, password.expose()).await?;
            }
            Proof::RegistrationToken(token) => {
                if !self.registration_token_is_valid(token.expose()).await? {
                    return Err(Refusal::invalid("the registration token is not valid").into());
                }
                session.registration_token = Some(token.expose().clone());
            }
            Proof::Nothing | Proof::Unknown | Proof::Dummy => {}
        }
        session.complete(stage);
        Ok(())
    }

    /// What is still to be proven, in a session that is kept.
    fn challenge(&self, asked: Asked<'_>, id: Option<String>, session: UiaSession, refusal: Option<&Refusal>) -> Error {
        let flows = asked.flows.iter().map(|flow| AuthFlow::new(flow.iter().map(|stage| stage.auth_type()).collect()));
        let mut info = UiaaInfo::new(flows.collect());
        info.completed = session.completed().iter().map(|stage| stage.auth_type()).collect();
        info.params = serde_json::value::to_raw_value(&serde_json::Map::new()).ok();
        info.auth_error = refusal.map(|refusal| {
            // Whatever was wrong, the stage was not passed.
            Box::new(StandardErrorBody::new(ErrorKind::Forbidden, refusal.to_string()))
        });
        info.session = Some(self.uia.put(id, session, self.store()));
        Error::MoreAuth(Box::new(info))
    }
}

//! What a client says to prove who it is, in all the forms that clients use.

use base::Secret;
use ruma::api::client::uiaa::{AuthData, UserIdentifier};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::Refusal;

/// What a client sends as `auth`.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The session that it goes on with.
    pub session: Option<String>,
    /// What it gives.
    pub proof: Proof,
}

/// What is given in one stage.
#[derive(Clone, Debug)]
pub enum Proof {
    /// Nothing: the client asks whether the session is complete.
    Nothing,
    /// A password, and whose it is.
    Password {
        /// A user id or its local part.
        user: Option<String>,
        /// The password.
        password: Secret<String>,
    },
    /// That this stage was seen.
    Dummy,
    /// A registration token.
    RegistrationToken(Secret<String>),
    /// Something that is never asked for here.
    Unknown,
}

#[derive(Deserialize)]
struct Identifier {
    #[serde(rename = "type")]
    kind: Option<String>,
    user: Option<String>,
}

#[derive(Deserialize)]
struct Fields {
    #[serde(rename = "type")]
    kind: Option<String>,
    session: Option<String>,
    /// As clients named the user before there were identifiers.
    user: Option<String>,
    identifier: Option<Identifier>,
    password: Option<Secret<String>>,
    token: Option<Secret<String>>,
}

impl Attempt {
    /// Reads the `auth` of a request.
    ///
    /// # Errors
    /// [`Refusal::BadJson`] for what is not of this form; [`Refusal::MissingParam`].
    pub fn parse(auth: &RawValue) -> Result<Self, Refusal> {
        let fields: Fields = serde_json::from_str(auth.get())
            .map_err(|error| Refusal::BadJson { what: format!("`auth` is not what it should be: {error}") })?;
        let proof = match fields.kind.as_deref() {
            None => Proof::Nothing,
            Some("m.login.dummy") => Proof::Dummy,
            Some("m.login.password") => {
                let password = fields.password.ok_or(Refusal::MissingParam { what: "the password" })?;
                match fields.identifier {
                    Some(Identifier { kind, .. }) if kind.as_deref() != Some("m.id.user") => Proof::Unknown,
                    Some(Identifier { user, .. }) => Proof::Password { user, password },
                    None => Proof::Password { user: fields.user, password },
                }
            }
            Some("m.login.registration_token" | "org.matrix.msc3231.login.registration_token") => {
                let token = fields.token.ok_or(Refusal::MissingParam { what: "the registration token" })?;
                Proof::RegistrationToken(token)
            }
            Some(_) => Proof::Unknown,
        };
        Ok(Self { session: fields.session, proof })
    }
}

impl From<&AuthData> for Attempt {
    fn from(auth: &AuthData) -> Self {
        let proof = match auth {
            AuthData::Password(password) => match &password.identifier {
                UserIdentifier::Matrix(user) => {
                    Proof::Password { user: Some(user.user.clone()), password: Secret::new(password.password.clone()) }
                }
                _ => Proof::Unknown,
            },
            AuthData::Dummy(_) => Proof::Dummy,
            AuthData::RegistrationToken(token) => Proof::RegistrationToken(Secret::new(token.token.clone())),
            AuthData::FallbackAcknowledgement(_) => Proof::Nothing,
            _ => Proof::Unknown,
        };
        Self { session: auth.session().map(ToOwned::to_owned), proof }
    }
}

//! Registration by scripts that know a secret, as Synapse has it
//! (<https://element-hq.github.io/synapse/latest/admin_api/register_api.html>): the server gives a nonce, the script an
//! HMAC-SHA1 over it and over what it wants.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use base::clock::Monotonic;
use base::{Secret, limits};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use crate::account::register::{NewAccount, Registered, Role};
use crate::accounts::Accounts;
use crate::error::{Error, Refusal};
use crate::session::{NewDevice, new_token};

/// The nonces that were given out and not used.
#[derive(Debug, Default)]
pub(crate) struct Nonces(Mutex<VecDeque<(String, Monotonic)>>);

impl Nonces {
    fn put(&self, nonce: String, now: Monotonic) {
        let mut given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if given.len() >= limits::NONCES {
            given.pop_front();
        }
        given.push_back((nonce, now));
    }

    /// Whether `nonce` was given lately; it never is again.
    fn take(&self, nonce: &str, now: Monotonic) -> bool {
        let mut given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        given.retain(|(_, at)| now.since(*at) < limits::NONCE_LIFETIME);
        let found = given.iter().position(|(known, _)| known == nonce);
        found.and_then(|index| given.remove(index)).is_some()
    }
}

/// What a script sends.
#[derive(Clone, Debug)]
pub struct SecretRegistration {
    /// The nonce that it was given.
    pub nonce: String,
    /// The local part of the user id.
    pub username: String,
    /// The password.
    pub password: Secret<String>,
    /// What the user is called at first.
    pub display_name: Option<String>,
    /// Whether the user administers this server.
    pub role: Role,
    /// What else the code is over: a kind of user that Synapse knows.
    pub user_type: Option<String>,
    /// The code, in hex.
    pub mac: String,
    /// The device to log in at once; `None`: none is.
    pub device: Option<NewDevice>,
}

impl Accounts {
    fn shared_secret(&self) -> Result<&Secret<String>, Refusal> {
        let secret = self.options().registration.shared_secret.as_ref();
        secret.ok_or(Refusal::WrongEndpoint { why: "registration with a shared secret is not set up on this server" })
    }

    /// A nonce for a script.
    ///
    /// # Errors
    /// [`Refusal::WrongEndpoint`] when no secret is configured.
    pub fn registration_nonce(&self) -> Result<String, Refusal> {
        self.shared_secret()?;
        let nonce = new_token("hfn", self.store().random());
        self.nonces.put(nonce.clone(), self.store().clock().monotonic());
        Ok(nonce)
    }

    /// Makes an account for a script that knows the secret, whoever else may make one.
    ///
    /// # Errors
    /// [`Refusal::WrongEndpoint`] when no secret is configured; [`Refusal::InvalidParam`] for a nonce that was not given;
    /// [`Refusal::Forbidden`] for a wrong code; as [`Accounts::register`].
    pub async fn register_with_secret(&self, wanted: SecretRegistration) -> Result<Registered, Error> {
        let secret = self.shared_secret()?;
        if !self.nonces.take(&wanted.nonce, self.store().clock().monotonic()) {
            return Err(Refusal::invalid("the nonce was not given by this server, or was used").into());
        }
        let role = if wanted.role == Role::Admin { "admin" } else { "notadmin" };
        let mut parts = vec![wanted.nonce.as_str(), &wanted.username, wanted.password.expose(), role];
        parts.extend(wanted.user_type.as_deref());
        // A key of any length is taken, so this is never an error.
        let mut mac = Hmac::<Sha1>::new_from_slice(secret.expose().as_bytes())
            .map_err(|error| Error::Hashing { what: error.to_string() })?;
        for (index, part) in parts.into_iter().enumerate() {
            if index > 0 {
                mac.update(&[0]);
            }
            mac.update(part.as_bytes());
        }
        // Compared in a time that does not depend on where they differ.
        let given = hex(&wanted.mac).ok_or_else(wrong)?;
        mac.verify_slice(&given).map_err(|_| wrong())?;
        let SecretRegistration { username, password, display_name, role, device, .. } = wanted;
        let (username, password) = (Some(username), Some(password));
        self.register(NewAccount { username, password, display_name, role, device }).await
    }
}

fn wrong() -> Refusal {
    Refusal::forbidden("the HMAC is wrong")
}

fn hex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

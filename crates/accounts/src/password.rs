//! Passwords, as argon2id hashes. A hash costs tens of milliseconds and megabytes on purpose, so it is computed off the
//! runtime's threads, and only few at once.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use base::{Random, Secret, limits, task};
use tokio::sync::Semaphore;

use crate::error::{Error, Refusal};

/// How much work a password's hash costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PasswordCost {
    /// What an attacker with the database should have to pay: 19 MiB and two passes, as OWASP advises.
    #[default]
    Normal,
    /// Next to nothing, for tests.
    Low,
    /// What the operator says.
    Custom {
        /// Memory, in KiB; at least 8.
        memory_kib: u32,
        /// Passes over it; at least 1.
        passes: u32,
    },
}

impl PasswordCost {
    fn params(self) -> Result<Params, Error> {
        let (memory_kib, passes) = match self {
            Self::Normal => (19 * 1024, 2),
            Self::Low => (8, 1),
            Self::Custom { memory_kib, passes } => (memory_kib, passes),
        };
        Params::new(memory_kib, passes, 1, None).map_err(hashing)
    }
}

fn hashing(error: impl std::fmt::Display) -> Error {
    Error::Hashing { what: error.to_string() }
}

/// Hashes and checks passwords, a bounded number at once.
#[derive(Debug)]
pub(crate) struct Passwords {
    cost: PasswordCost,
    /// Those being hashed.
    working: Arc<Semaphore>,
    /// Those being hashed or waiting.
    waiting: Semaphore,
}

impl Passwords {
    pub(crate) fn new(cost: PasswordCost) -> Self {
        Self {
            cost,
            working: Arc::new(Semaphore::new(limits::PASSWORDS_AT_ONCE)),
            waiting: Semaphore::new(limits::PASSWORDS_WAITING),
        }
    }

    /// The hash to store of `password`, with a salt of its own.
    pub(crate) async fn hash(&self, password: &str, random: &Random) -> Result<String, Error> {
        check(password)?;
        let (password, salt) = (Secret::new(password.to_owned()), random.bytes::<16>());
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, self.cost.params()?);
        self.off_the_runtime(move || {
            let hash: PasswordHash =
                argon2.hash_password_with_salt(password.expose().as_bytes(), &salt).map_err(hashing)?;
            Ok(hash.to_string())
        })
        .await
    }

    /// Whether `password` has `hash`. Without a hash it takes as long and is `false`: how long an answer takes must not say
    /// which users there are.
    pub(crate) async fn verify(&self, password: &str, hash: Option<String>) -> Result<bool, Error> {
        // Nobody's password is longer; hashing is done all the same, for the time it takes.
        let hash = hash.filter(|_| password.len() <= limits::PASSWORD_BYTES);
        let bytes = password.as_bytes();
        let password = Secret::new(bytes.get(..limits::PASSWORD_BYTES).unwrap_or(bytes).to_vec());
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, self.cost.params()?);
        self.off_the_runtime(move || {
            let bytes = password.expose().as_slice();
            match hash {
                Some(hash) => {
                    let hash = PasswordHash::new(&hash).map_err(hashing)?;
                    Ok(argon2.verify_password(bytes, &hash).is_ok())
                }
                None => {
                    let spent: Result<PasswordHash, _> = argon2.hash_password_with_salt(bytes, &[0; 16]);
                    spent.map(|_| false).map_err(hashing)
                }
            }
        })
        .await
    }

    async fn off_the_runtime<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let _place = self.waiting.try_acquire().map_err(|_| Error::TooManyPasswords)?;
        let turn = Arc::clone(&self.working).acquire_owned().await.map_err(hashing)?;
        let done = task::blocking(move || {
            // Moved in: a caller that goes away does not make room for another hash while this one is computed.
            let _turn = turn;
            work()
        });
        done.await.map_err(hashing)?
    }
}

/// Whether `password` may be somebody's password.
pub(crate) fn check(password: &str) -> Result<(), Refusal> {
    if password.is_empty() {
        return Err(Refusal::WeakPassword { what: "it is empty" });
    }
    if password.len() > limits::PASSWORD_BYTES {
        return Err(Refusal::WeakPassword { what: "it is too long" });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_takes_its_own_password_and_no_other() {
        let (passwords, random) = (Passwords::new(PasswordCost::Low), Random::seeded(1));
        let hash = passwords.hash("correct horse", &random).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{hash}");
        assert_ne!(passwords.hash("correct horse", &random).await.unwrap(), hash, "each has a salt of its own");
        assert!(passwords.verify("correct horse", Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify("battery staple", Some(hash)).await.unwrap());
        assert!(!passwords.verify("correct horse", None).await.unwrap());
    }

    #[tokio::test]
    async fn a_hash_of_another_cost_is_still_taken() {
        let random = Random::seeded(1);
        let dear = Passwords::new(PasswordCost::Custom { memory_kib: 64, passes: 3 });
        let hash = dear.hash("secret", &random).await.unwrap();
        assert!(Passwords::new(PasswordCost::Low).verify("secret", Some(hash)).await.unwrap());
    }

    #[tokio::test]
    async fn no_more_passwords_wait_than_there_are_places() {
        let passwords = Passwords::new(PasswordCost::Low);
        let _all = passwords.waiting.try_acquire_many(u32::try_from(limits::PASSWORDS_WAITING).unwrap()).unwrap();
        assert!(matches!(passwords.verify("secret", None).await, Err(Error::TooManyPasswords)));
    }
}

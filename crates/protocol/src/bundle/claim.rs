//! The shapes of `/keys/claim` and `/keys/query`, and what a client takes from the answers.

use super::{BundleError, DeviceKeys, MasterKey, OneTimeKey, SelfSigningKey, UserSigningKey};
use crate::canonical::{FieldError, Object, Value};

/// `POST /_matrix/client/v3/keys/claim`: one key of an algorithm for each device named.
///
/// <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysclaim>
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimRequest(Vec<(String, String, String)>);

impl ClaimRequest {
    /// Reads a request body.
    ///
    /// # Errors
    /// [`BundleError::Field`] if it has another shape.
    pub fn parse(body: &Object) -> Result<Self, BundleError> {
        let mut claims = Vec::new();
        let users = body.object("one_time_keys")?;
        for (user_id, _) in users.iter() {
            let devices = users.object(user_id)?;
            for (device_id, _) in devices.iter() {
                claims.push((user_id.to_owned(), device_id.to_owned(), devices.string(device_id)?.to_owned()));
            }
        }
        Ok(Self(claims))
    }

    /// Asks for one more key. A device can be asked for one algorithm only; the last asked for counts.
    pub fn add(&mut self, user_id: &str, device_id: &str, algorithm: &str) {
        self.0.retain(|(user, device, _)| (user.as_str(), device.as_str()) != (user_id, device_id));
        self.0.push((user_id.to_owned(), device_id.to_owned(), algorithm.to_owned()));
    }

    /// User, device and algorithm of each claim.
    pub fn claims(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.0.iter().map(|(user, device, algorithm)| (user.as_str(), device.as_str(), algorithm.as_str()))
    }

    /// The request body.
    pub fn to_body(&self) -> Object {
        let mut users = Object::new();
        for (user_id, device_id, algorithm) in self.claims() {
            let mut devices = match users.remove(user_id) {
                Some(Value::Object(devices)) => devices,
                _ => Object::new(),
            };
            devices.insert(device_id, algorithm);
            users.insert(user_id, devices);
        }
        Object::new().with("one_time_keys", users)
    }
}

/// The answer to a claim: for each user and device, at most one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimResponse(Object);

impl ClaimResponse {
    /// Reads an answer. The keys are checked when they are taken, so that one bad key spoils no other.
    ///
    /// # Errors
    /// [`BundleError::Field`] if it has another shape.
    pub fn parse(body: &Object) -> Result<Self, BundleError> {
        Ok(Self(body.object("one_time_keys")?.clone()))
    }

    /// Adds a key to the answer that a server builds.
    pub fn add(&mut self, user_id: &str, device_id: &str, name: &str, value: Value) {
        let mut devices = match self.0.remove(user_id) {
            Some(Value::Object(devices)) => devices,
            _ => Object::new(),
        };
        devices.insert(device_id, Object::new().with(name, value));
        self.0.insert(user_id, devices);
    }

    /// The answer's body.
    pub fn to_body(&self) -> Object {
        Object::new().with("one_time_keys", self.0.clone())
    }

    /// The key that was given out for `device`, of the algorithm that was asked for.
    ///
    /// # Errors
    /// [`BundleError`] if there is none, it is of another algorithm, malformed, or not signed by the device.
    pub fn take(&self, device: &DeviceKeys, algorithm: &str) -> Result<OneTimeKey, BundleError> {
        let keys = self.0.object(device.user_id())?.object(device.device_id())?;
        let mut entries = keys.iter();
        let (Some((name, value)), None) = (entries.next(), entries.next()) else {
            return Err(
                FieldError::Type { name: device.device_id().to_owned(), expected: "an object of one key" }.into()
            );
        };
        let key = OneTimeKey::verify(name, value.clone(), device)?;
        if key.algorithm() == algorithm { Ok(key) } else { Err(BundleError::KeyName(name.to_owned())) }
    }
}

/// The answer to `POST /_matrix/client/v3/keys/query`.
///
/// <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysquery>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeysQueryResponse(Object);

/// What an answer says of one user. Every part has been checked; what failed is named in `refused`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserKeys {
    /// Devices whose keys are signed by themselves.
    pub devices: Vec<DeviceKeys>,
    /// The master key.
    pub master: Option<MasterKey>,
    /// The self-signing key, signed by that master key.
    pub self_signing: Option<SelfSigningKey>,
    /// The user-signing key, signed by that master key. Servers show it to its owner only.
    pub user_signing: Option<UserSigningKey>,
    /// Device ids and cross-signing usages that were refused, with the reason.
    pub refused: Vec<(String, BundleError)>,
}

impl KeysQueryResponse {
    /// Reads an answer. Bundles are checked a user at a time.
    pub fn parse(body: Object) -> Self {
        Self(body)
    }

    /// The checked keys of one user.
    pub fn user(&self, user_id: &str) -> UserKeys {
        let mut keys = UserKeys::default();
        for (device_id, value) in self.section("device_keys", user_id).into_iter().flat_map(Object::iter) {
            let object = value.as_object().cloned().unwrap_or_default();
            match DeviceKeys::verify(object, user_id, device_id) {
                Ok(device) => keys.devices.push(device),
                Err(error) => keys.refused.push((device_id.to_owned(), error)),
            }
        }
        let mut refused = Vec::new();
        let mut keep = |name: &str, error: BundleError| refused.push((name.to_owned(), error));
        keys.master = self
            .section("master_keys", user_id)
            .and_then(|key| MasterKey::parse(key.clone(), user_id).map_err(|error| keep("master", error)).ok());
        if let Some(master) = &keys.master {
            keys.self_signing = self.section("self_signing_keys", user_id).and_then(|key| {
                SelfSigningKey::verify(key.clone(), master).map_err(|error| keep("self_signing", error)).ok()
            });
            keys.user_signing = self.section("user_signing_keys", user_id).and_then(|key| {
                UserSigningKey::verify(key.clone(), master).map_err(|error| keep("user_signing", error)).ok()
            });
        }
        keys.refused.append(&mut refused);
        keys
    }

    fn section(&self, field: &str, user_id: &str) -> Option<&Object> {
        self.0.get(field)?.as_object()?.get(user_id)?.as_object()
    }
}

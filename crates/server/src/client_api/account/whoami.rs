//! `GET /_matrix/client/v3/account/whoami`: whose token it is
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3accountwhoami>).

use ruma::api::client::account::whoami::v3::{Request, Response};

use crate::http::{Error, Ruma, RumaResponse};

/// Answers with the user and the device.
pub(crate) async fn get(Ruma { caller, .. }: Ruma<Request>) -> Result<RumaResponse<Response>, Error> {
    let mut response = Response::new(caller.user_id.clone(), caller.is_guest);
    response.device_id = Some(caller.device_id.clone());
    Ok(RumaResponse(response))
}

//! `/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device`: the caller's dehydrated device
//! (<https://github.com/matrix-org/matrix-spec-proposals/pull/3814>).

use accounts::dehydrated::NewDehydratedDevice;
use accounts::keys::KeysToUpload;
use axum::extract::State;
use ruma::api::client::dehydrated_device::{delete_dehydrated_device, get_dehydrated_device, put_dehydrated_device};
use ruma::serde::Raw;

use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Stores the device, in the place of the one before.
pub(crate) async fn put(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<put_dehydrated_device::unstable::Request>,
) -> Result<RumaResponse<put_dehydrated_device::unstable::Response>, Error> {
    let new = NewDehydratedDevice {
        id: body.device_id,
        display_name: body.initial_device_display_name,
        data: body.device_data.into_json(),
        keys: KeysToUpload {
            device_keys: Some(body.device_keys),
            one_time_keys: body.one_time_keys,
            fallback_keys: body.fallback_keys,
        },
    };
    state.accounts.dehydrate(&caller.user_id, &new).await?;
    Ok(RumaResponse(put_dehydrated_device::unstable::Response::new(new.id)))
}

/// Answers with the device.
pub(crate) async fn get(
    State(state): State<AppState>,
    Ruma { caller, .. }: Ruma<get_dehydrated_device::unstable::Request>,
) -> Result<RumaResponse<get_dehydrated_device::unstable::Response>, Error> {
    let found = state.accounts.dehydrated_device(&caller.user_id).await?;
    let found = found.ok_or_else(|| Error::refusal("M_NOT_FOUND", "there is no dehydrated device"))?;
    let data = Raw::from_json(found.data);
    Ok(RumaResponse(get_dehydrated_device::unstable::Response::new(found.id, data)))
}

/// Removes the device.
pub(crate) async fn delete(
    State(state): State<AppState>,
    Ruma { caller, .. }: Ruma<delete_dehydrated_device::unstable::Request>,
) -> Result<RumaResponse<delete_dehydrated_device::unstable::Response>, Error> {
    let device = state.accounts.remove_dehydrated_device(&caller.user_id).await?;
    Ok(RumaResponse(delete_dehydrated_device::unstable::Response::new(device)))
}

//! `GET /.well-known/matrix/support`: who helps users of this server
//! (<https://spec.matrix.org/v1.19/client-server-api/#getwell-knownmatrixsupport>).

use axum::extract::State;
use ruma::api::client::discovery::discover_support::{Contact, ContactRole, Request, Response};

use crate::config;
use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Answers with the configured page and contacts.
pub(crate) async fn get(State(state): State<AppState>, _: Ruma<Request>) -> Result<RumaResponse<Response>, Error> {
    let support = &state.config.support;
    if support.page.is_none() && support.contacts.is_empty() {
        return Err(Error::refusal("M_NOT_FOUND", "this server does not say who helps its users"));
    }
    let mut response = Response::with_contacts(support.contacts.iter().filter_map(contact).collect());
    response.support_page = support.page.clone();
    Ok(RumaResponse(response))
}

fn contact(contact: &config::Contact) -> Option<Contact> {
    let role = ContactRole::from(contact.role.as_str());
    match (&contact.matrix_id, &contact.email_address) {
        (Some(matrix_id), email_address) => {
            let mut contact = Contact::with_matrix_id(role, matrix_id.clone());
            contact.email_address = email_address.clone();
            Some(contact)
        }
        (None, Some(email_address)) => Some(Contact::with_email_address(role, email_address.clone())),
        // Refused when the configuration was read.
        (None, None) => None,
    }
}

//! The real transport: reqwest over rustls with aws-lc-rs, which offers X25519MLKEM768 first, so that what is recorded today
//! is not read by a quantum computer later.

use std::error::Error as StdError;
use std::sync::{Arc, Once, OnceLock};

use async_trait::async_trait;
use base::Clock;
use base::limits;
use bytes::{Bytes, BytesMut};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Url};

use crate::error::Error;
use crate::filter::AddressFilter;
use crate::resolve::{Filtered, ResolveError, literal};
use crate::transport::{Redirects, Request, Response, Transport};

/// How the client is set up.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Which addresses are connected to.
    pub filter: AddressFilter,
    /// Certificates trusted beside the system's, in PEM.
    pub extra_certificates: Vec<Bytes>,
    /// What the client calls itself.
    pub user_agent: String,
    /// For deadlines.
    pub clock: Clock,
}

/// Carries requests over the network. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct Client(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    filter: Arc<AddressFilter>,
    certificates: Vec<Certificate>,
    user_agent: String,
    clock: Clock,
    /// Made at the first request: reading the system's certificates takes longer than the rest of a start.
    inner: OnceLock<Result<reqwest::Client, String>>,
}

static PROVIDER: Once = Once::new();

impl Client {
    /// A client that connects to nothing yet.
    ///
    /// # Errors
    /// [`Error::Setup`] when a certificate cannot be read.
    pub fn new(options: ClientOptions) -> Result<Self, Error> {
        let ClientOptions { filter, extra_certificates, user_agent, clock } = options;
        let mut certificates = Vec::new();
        for pem in &extra_certificates {
            let read = Certificate::from_pem_bundle(pem);
            certificates.extend(read.map_err(|error| Error::Setup { reason: innermost(&error) })?);
        }
        let (filter, inner) = (Arc::new(filter), OnceLock::new());
        Ok(Self(Arc::new(Shared { filter, certificates, user_agent, clock, inner })))
    }

    fn inner(&self) -> Result<&reqwest::Client, Error> {
        let made = self.0.inner.get_or_init(|| self.0.make().map_err(|error| innermost(&error)));
        made.as_ref().map_err(|reason| Error::Setup { reason: reason.clone() })
    }

    async fn follow(&self, request: Request) -> Result<Response, Error> {
        let mut url = read(&request.uri.to_string())?;
        let mut left = match request.redirects {
            Redirects::Answer => 0,
            Redirects::Follow(most) => most,
        };
        loop {
            let answer = self.once(&request, url.clone()).await?;
            let location = answer.headers.get(http::header::LOCATION).and_then(|value| value.to_str().ok());
            let target = location.filter(|_| answer.status.is_redirection()).map(|target| url.join(target));
            let Some(target) = target.filter(|_| request.redirects != Redirects::Answer) else { return Ok(answer) };
            if left == 0 {
                return Err(Error::TooManyRedirects { host: host(&url) });
            }
            left -= 1;
            url = read(target.map_err(|_| Error::NotAnAddress { uri: url.to_string() })?.as_str())?;
        }
    }

    async fn once(&self, request: &Request, url: Url) -> Result<Response, Error> {
        let name = host(&url);
        if literal(&name).is_some_and(|address| !self.0.filter.allows(address)) {
            return Err(Error::Forbidden { host: name });
        }
        let sent = self.inner()?.request(request.method.clone(), url).headers(request.headers.clone());
        let answer = sent.body(request.body.clone()).send().await;
        let mut answer = answer.map_err(|error| failed(&name, &error))?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut body = BytesMut::new();
        while let Some(piece) = answer.chunk().await.map_err(|error| failed(&name, &error))? {
            if body.len() + piece.len() > request.answer_bytes {
                return Err(Error::TooLarge { host: name, most: request.answer_bytes });
            }
            body.extend_from_slice(&piece);
        }
        Ok(Response { status, headers, body: body.freeze() })
    }
}

impl Shared {
    fn make(&self) -> Result<reqwest::Client, reqwest::Error> {
        // One for the process, whoever comes first; a second one of the same kind is no harm.
        PROVIDER.call_once(|| drop(rustls::crypto::aws_lc_rs::default_provider().install_default()));
        let builder = reqwest::Client::builder()
            .user_agent(self.user_agent.as_str())
            .redirect(Policy::none())
            // A proxy would resolve names itself, past the filter.
            .no_proxy()
            .dns_resolver(Filtered(Arc::clone(&self.filter)))
            .tls_certs_merge(self.certificates.iter().cloned())
            .connect_timeout(limits::OUTGOING_CONNECT)
            .pool_idle_timeout(limits::OUTGOING_IDLE)
            .pool_max_idle_per_host(limits::OUTGOING_IDLE_PER_HOST)
            .http1_max_headers(limits::HTTP_HEADERS)
            .http2_max_header_list_size(limits::OUTGOING_HEADER_BYTES);
        builder.build()
    }
}

#[async_trait]
impl Transport for Client {
    async fn send(&self, request: Request) -> Result<Response, Error> {
        let (deadline, asked) = (request.deadline, request.uri.host().unwrap_or_default().to_owned());
        let answer = self.0.clock.timeout(deadline, self.follow(request)).await;
        answer.unwrap_or(Err(Error::Late { host: asked, after: deadline }))
    }
}

/// Reads an address as the client does, so that what is checked is what is connected to: `0x7f.1` becomes `127.0.0.1`.
fn read(uri: &str) -> Result<Url, Error> {
    let url = Url::parse(uri).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| Error::NotAnAddress { uri: uri.to_owned() })
}

fn host(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

fn failed(host: &str, error: &reqwest::Error) -> Error {
    let host = host.to_owned();
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<ResolveError>() {
            return match error {
                ResolveError::Forbidden => Error::Forbidden { host },
                other => Error::Resolve { host, reason: other.to_string() },
            };
        }
        cause = error.source();
    }
    if error.is_timeout() {
        return Error::Late { host, after: limits::OUTGOING_CONNECT };
    }
    Error::Connection { host, reason: innermost(error) }
}

/// The last of a chain of errors says what happened; those before it name addresses.
fn innermost(error: &dyn StdError) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

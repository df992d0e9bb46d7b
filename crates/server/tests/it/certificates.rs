//! A certificate authority for a test, and clients that trust it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::ServerName;
use std::net::TcpStream;

use crate::harness::connect;

/// A client's end of a TLS connection.
pub(crate) type TlsStream = StreamOwned<ClientConnection, TcpStream>;

/// An authority that signed a certificate for `localhost`.
pub(crate) struct Authority(RootCertStore);

impl Authority {
    /// Makes an authority and writes `server.pem` and `server.key` to `folder`.
    pub(crate) fn new(folder: &Path) -> Self {
        let mut params = CertificateParams::new([]).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");

        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(["localhost".to_owned()]).expect("parameters");
        let certificate = params.signed_by(&key, &issuer).expect("a certificate");
        fs::write(folder.join("server.pem"), certificate.pem()).expect("a certificate file");
        fs::write(folder.join("server.key"), key.serialize_pem()).expect("a key file");

        let mut roots = RootCertStore::empty();
        roots.add(issuer.der().clone()).expect("a root certificate");
        Self(roots)
    }

    /// Connects over TLS, offering the protocols `alpn`, and finishes the handshake.
    pub(crate) fn connect(&self, address: SocketAddr, alpn: &[&str]) -> TlsStream {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the default versions")
            .with_root_certificates(self.0.clone())
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let name = ServerName::try_from("localhost").expect("a name");
        let mut client = ClientConnection::new(Arc::new(config), name).expect("a client");
        let mut stream = connect(address);
        while client.is_handshaking() {
            client.complete_io(&mut stream).expect("a handshake");
        }
        StreamOwned::new(client, stream)
    }
}

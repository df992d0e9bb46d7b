//! One connection, from its first byte to its last: the TLS handshake where there is one, then HTTP/1.1 or HTTP/2.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base::shutdown::Shutdown;
use base::{limits, task};
use futures_util::FutureExt;
use hyper::Request;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::accept::Serving;
use super::tls::HTTP2;
use crate::http::address::Peer;

/// A connection and what it needs.
pub(super) struct Connection {
    pub(super) serving: Serving,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) peer: SocketAddr,
}

impl Connection {
    /// Serves until the other side leaves, a timeout ends it, or the server stops.
    pub(super) async fn run(self, stream: TcpStream) {
        // Answers are written whole, so waiting for more to fill a packet only adds delay. A socket that is gone already
        // shows at the first read.
        let _ = stream.set_nodelay(true);
        let mut cut = self.serving.cut.clone();
        tokio::select! {
            biased;
            () = cut.started() => tracing::debug!(peer = %self.peer, "a connection was cut"),
            // Boxed apart, so that a plain connection does not take the room of a TLS one for as long as it lasts.
            () = async {
                match &self.tls {
                    None => Box::pin(self.http1(stream)).await,
                    Some(tls) => Box::pin(self.tls(tls, stream)).await,
                }
            } => {}
        }
    }

    async fn tls(&self, tls: &TlsAcceptor, stream: TcpStream) {
        let mut stop = self.serving.stop.clone();
        let handshake = self.serving.clock.timeout(limits::TLS_HANDSHAKE_TIMEOUT, tls.accept(stream));
        let outcome = tokio::select! {
            biased;
            () = stop.started() => return,
            outcome = handshake => outcome,
        };
        match outcome {
            Some(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(HTTP2) => {
                Box::pin(self.http2(stream)).await;
            }
            Some(Ok(stream)) => Box::pin(self.http1(stream)).await,
            Some(Err(error)) => tracing::debug!(peer = %self.peer, %error, "a TLS handshake failed"),
            None => tracing::debug!(peer = %self.peer, "a TLS handshake took too long"),
        }
    }

    pub(super) async fn http1(&self, stream: impl AsyncRead + AsyncWrite + Unpin + 'static) {
        let (app, peer) = (&self.serving.app, Peer(self.peer.ip()));
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            app.answer(request).map(Ok::<_, Infallible>)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits::HTTP_HEAD_TIMEOUT)
            .max_buf_size(limits::HTTP_HEAD_BYTES)
            .max_headers(limits::HTTP_HEADERS)
            .serve_connection(TokioIo::new(stream), service);
        self.drive(connection).await;
    }

    pub(super) async fn http2(&self, stream: impl AsyncRead + AsyncWrite + Unpin + 'static) {
        let (app, peer) = (self.serving.app.clone(), Peer(self.peer.ip()));
        let has_asked = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&has_asked);
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            asked.store(true, Ordering::Relaxed);
            app.answer(request).map(Ok::<_, Infallible>)
        });
        let connection = http2::Builder::new(Tasks { cut: self.serving.cut.clone() })
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits::HTTP2_STREAMS)
            .max_header_list_size(u32::try_from(limits::HTTP_HEAD_BYTES).unwrap_or(u32::MAX))
            .keep_alive_interval(limits::HTTP2_PROBE_EVERY)
            .keep_alive_timeout(limits::HTTP2_PROBE_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service);
        // The probes begin after HTTP/2's own greeting; who never sends that would stay for good.
        tokio::select! {
            () = self.drive(connection) => {}
            () = self.silence(&has_asked) => tracing::debug!(peer = %self.peer, "a connection asked for nothing"),
        }
    }

    /// Ends when nothing was asked for as long as a request may take to arrive.
    async fn silence(&self, has_asked: &AtomicBool) {
        self.serving.clock.sleep(limits::HTTP_HEAD_TIMEOUT).await;
        if has_asked.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }

    /// Runs `connection` to its end; asked to stop, it finishes what is in flight and takes nothing new.
    async fn drive<C: GracefulConnection>(&self, connection: C)
    where
        C::Error: std::fmt::Display,
    {
        let mut stop = self.serving.stop.clone();
        let mut connection = pin!(connection);
        let outcome = tokio::select! {
            outcome = connection.as_mut() => outcome,
            () = stop.started() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = outcome {
            tracing::debug!(peer = %self.peer, %error, "a connection ended early");
        }
    }
}

/// Runs HTTP/2's streams as tasks of ours, which end with their connection when it is cut.
#[derive(Clone)]
struct Tasks {
    cut: Shutdown,
}

impl<F> Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        let mut cut = self.cut.clone();
        task::spawn(async move {
            tokio::select! {
                biased;
                () = cut.started() => {}
                _ = future => {}
            }
        });
    }
}

//! TLS for tools that speak nothing else: an authority that is made at the start, one certificate of it, and the encrypted channel.
//!
//! The authority's key is thrown away once it has signed that certificate, so that whoever trusts its PEM trusts nothing else.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use jiff::ToSpan;
use jiff::tz::TimeZone;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

/// For how many days what is made is good.
const DAYS: i32 = 30;

/// What a server needs, and what its clients have to trust.
pub(crate) struct Identity {
    pub(crate) acceptor: TlsAcceptor,
    /// The certificate of the authority.
    pub(crate) authority: String,
}

/// Makes an authority and a certificate for this machine's own names and these.
pub(crate) fn identity(names: &[String]) -> io::Result<Identity> {
    let mut authority = params("Authority of an Auth0 emulator")?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().map_err(other)?).map_err(other)?;

    let mut server = params("Auth0 emulator")?;
    let addresses = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)].map(SanType::IpAddress);
    let hosts = std::iter::once("localhost").chain(names.iter().map(String::as_str));
    let hosts = hosts.map(|host| Ok(SanType::DnsName(host.try_into().map_err(other)?)));
    server.subject_alt_names = hosts.chain(addresses.into_iter().map(Ok)).collect::<io::Result<_>>()?;
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().map_err(other)?;
    let certificate = server.signed_by(&key, &authority).map_err(other)?;

    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(other)?;
    let mut config = builder.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).map_err(other)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Identity { acceptor: TlsAcceptor::from(Arc::new(config)), authority: authority.pem() })
}

fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::other(error)
}

/// From yesterday on, as clocks differ.
fn params(name: &str) -> io::Result<CertificateParams> {
    let mut out = CertificateParams::default();
    out.distinguished_name = DistinguishedName::new();
    out.distinguished_name.push(DnType::CommonName, name);
    let today = jiff::Timestamp::now().to_zoned(TimeZone::UTC).date();
    let day = |days: i32| {
        let date = today.checked_add(days.days()).map_err(other)?;
        let part = |part: i8| u8::try_from(part).map_err(other);
        io::Result::Ok(rcgen::date_time_ymd(i32::from(date.year()), part(date.month())?, part(date.day())?))
    };
    (out.not_before, out.not_after) = (day(-1)?, day(DAYS)?);
    Ok(out)
}

/// A connection, as plain text or over TLS.
pub(crate) enum Channel {
    Plain(TcpStream),
    /// The handshake is under way; nobody else waits for it.
    Greeting(Box<Accept<TcpStream>>),
    Secret(Box<TlsStream<TcpStream>>),
}

impl Channel {
    pub(crate) fn secret(tls: &TlsAcceptor, stream: TcpStream) -> Self {
        Self::Greeting(Box::new(tls.accept(stream)))
    }

    /// The stream, once there is one.
    fn poll_stream(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Pin<&mut dyn Stream>>> {
        if let Self::Greeting(greeting) = self {
            match Pin::new(greeting.as_mut()).poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(stream) => *self = Self::Secret(Box::new(stream?)),
            }
        }
        Poll::Ready(Ok(match self {
            Self::Plain(stream) => Pin::new(stream),
            Self::Secret(stream) => Pin::new(stream.as_mut()),
            Self::Greeting(_) => return Poll::Pending,
        }))
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

macro_rules! stream {
    ($channel:ident, $context:ident) => {
        match $channel.poll_stream($context) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Ready(Ok(stream)) => stream,
        }
    };
}

impl AsyncRead for Channel {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        stream!(self, context).poll_read(context, buffer)
    }
}

impl AsyncWrite for Channel {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        stream!(self, context).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        stream!(self, context).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        stream!(self, context).poll_shutdown(context)
    }
}

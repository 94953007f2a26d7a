//! The listening socket, and connections that can be cut on purpose.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::tls::Channel;

/// How a connection is to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Cut {
    #[default]
    Not,
    /// Nothing more is written.
    Now,
    /// The next answer's headers and so many bytes of its body are written, then nothing.
    AfterBody(usize),
}

/// A handler's grip on the connection its request came in on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line(Arc<Mutex<Cut>>);

impl Line {
    fn get(&self) -> Cut {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, cut: Cut) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = cut;
    }

    /// Closes the connection instead of answering.
    pub(crate) fn cut(&self) {
        self.set(Cut::Now);
    }

    /// Closes the connection after the answer's headers and so many bytes of its body.
    pub(crate) fn cut_after_body(&self, bytes: usize) {
        self.set(Cut::AfterBody(bytes));
    }
}

/// The listener; hands out [`Wire`]s, over TLS when it has a certificate.
pub(crate) struct Door {
    pub(crate) listener: TcpListener,
    pub(crate) tls: Option<TlsAcceptor>,
}

impl Listener for Door {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Wire, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // Answers are small and awaited: no reason to wait for more.
        let _ = stream.set_nodelay(true);
        let channel = match &self.tls {
            None => Channel::Plain(stream),
            Some(tls) => Channel::secret(tls, stream),
        };
        (Wire { channel, line: Line::default() }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Connected<IncomingStream<'_, Door>> for Line {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        stream.io().line.clone()
    }
}

/// One connection.
pub(crate) struct Wire {
    channel: Channel,
    line: Line,
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the connection is cut on purpose")
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.channel).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        match self.line.get() {
            Cut::Not => Pin::new(&mut self.channel).poll_write(context, buffer),
            Cut::Now => Poll::Ready(Err(gone())),
            Cut::AfterBody(bytes) => {
                // The head of an answer comes in one piece, so the end of the headers is in the first write.
                let head = buffer.windows(4).position(|window| window == b"\r\n\r\n").map_or(0, |at| at + 4);
                let end = (head + bytes).min(buffer.len());
                let written = Pin::new(&mut self.channel).poll_write(context, &buffer[..end]);
                if let Poll::Ready(Ok(count)) = &written {
                    let left = bytes - count.saturating_sub(head);
                    self.line.set(if left == 0 { Cut::Now } else { Cut::AfterBody(left) });
                }
                written
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.channel).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.channel).poll_shutdown(context)
    }
}

//! The line between one process of the operator and the API server, which can be cut or go silent without either end being down.

use std::net::Ipv4Addr;

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How the line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Bytes go through.
    Open,
    /// Connections stay, and no byte goes through.
    Silent,
    /// Connections are closed, and no new one comes about.
    Closed,
}

/// A line. It ends with this value.
#[derive(Debug)]
pub(crate) struct Line {
    /// The port to connect to.
    pub(crate) port: u16,
    mode: watch::Sender<Mode>,
    task: JoinHandle<()>,
}

impl Line {
    /// A line to a port of this machine.
    pub(crate) async fn to(target: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port for a line to the API server")?;
        let port = listener.local_addr()?.port();
        let (mode, modes) = watch::channel(Mode::Open);
        let task = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                if *modes.borrow() != Mode::Closed {
                    tokio::spawn(connect(stream, target, modes.clone()));
                }
            }
        });
        Ok(Self { port, mode, task })
    }

    /// Sets how it is.
    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn connect(near: TcpStream, target: u16, modes: watch::Receiver<Mode>) {
    let mut waiting = modes.clone();
    if waiting.wait_for(|mode| *mode != Mode::Silent).await.is_err() || *modes.borrow() == Mode::Closed {
        return;
    }
    let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await else { return };
    drop((near.set_nodelay(true), far.set_nodelay(true)));
    let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
    // Where one way ends, both do.
    tokio::select! {
        () = carry(near_read, far_write, modes.clone()) => {}
        () = carry(far_read, near_write, modes) => {}
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut modes: watch::Receiver<Mode>) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let Ok(mode) = modes.wait_for(|mode| *mode != Mode::Silent).await.map(|mode| *mode) else { return };
        if mode == Mode::Closed {
            return;
        }
        tokio::select! {
            changed = modes.changed() => if changed.is_err() { return },
            read = from.read(&mut buffer) => match read {
                Ok(0) | Err(_) => return,
                Ok(count) => if to.write_all(&buffer[..count]).await.is_err() { return },
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A server that repeats what it hears, and a line to it.
    async fn echo() -> Line {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    drop(tokio::io::copy(&mut read, &mut write).await);
                });
            }
        });
        Line::to(port).await.unwrap()
    }

    async fn says(stream: &mut TcpStream, text: &[u8]) -> std::io::Result<Vec<u8>> {
        stream.write_all(text).await?;
        let mut heard = vec![0; text.len()];
        tokio::time::timeout(Duration::from_millis(300), stream.read_exact(&mut heard))
            .await
            .map_err(|_| std::io::ErrorKind::TimedOut)??;
        Ok(heard)
    }

    #[tokio::test]
    async fn a_line_is_open_silent_or_closed() {
        let line = echo().await;
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, line.port)).await.unwrap();
        assert_eq!(says(&mut stream, b"one").await.unwrap(), b"one");
        line.set(Mode::Silent);
        assert_eq!(says(&mut stream, b"two").await.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
        line.set(Mode::Open);
        let mut heard = [0; 3];
        stream.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"two", "what was said meanwhile comes later");
        line.set(Mode::Closed);
        assert_eq!(stream.read(&mut heard).await.unwrap_or(0), 0, "the connection is gone");
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, line.port)).await.unwrap();
        assert!(says(&mut stream, b"four").await.is_err());
    }
}

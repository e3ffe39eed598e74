//! What carries a connection: a TCP socket, or something in memory that stands for one.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::body::Body;

/// A stream of bytes both ways.
pub trait Transport: AsyncRead + AsyncWrite + Unpin {
    /// Who is at the other end, if that can be told. It may cost a system call.
    fn peer(&self) -> Option<SocketAddr> {
        None
    }

    /// Sends some of `head`, or, where that is empty, up to `length_max` bytes of `body`, without copying the body; returns
    /// how many bytes the kernel has taken. `None` if that cannot be done on this transport or with this body.
    fn poll_send_sealed(
        &self,
        head: &[u8],
        body: &Body,
        length_max: usize,
        context: &mut Context<'_>,
    ) -> Option<Poll<io::Result<usize>>> {
        let _ = (head, body, length_max, context);
        None
    }
}

impl Transport for TcpStream {
    fn peer(&self) -> Option<SocketAddr> {
        self.peer_addr().ok()
    }

    #[cfg(target_os = "linux")]
    fn poll_send_sealed(
        &self,
        head: &[u8],
        body: &Body,
        length_max: usize,
        context: &mut Context<'_>,
    ) -> Option<Poll<io::Result<usize>>> {
        use std::task::ready;

        use rustix::fs::sendfile;
        use rustix::net::{SendFlags, send};
        use tokio::io::Interest;

        let (file, start) = body.file()?;
        let length = body.len().min(length_max);
        let try_send = || {
            let sent = match head {
                [] => sendfile(self, file, Some(&mut { start }), length)?,
                // The body follows at once: its first bytes go into the same segment.
                head => send(self, head, SendFlags::MORE | SendFlags::NOSIGNAL)?,
            };
            Ok(sent)
        };
        let mut poll = || {
            loop {
                ready!(self.poll_write_ready(context))?;
                match self.try_io(Interest::WRITABLE, try_send) {
                    // It was ready no more, and is waited for anew.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    sent => return Poll::Ready(sent),
                }
            }
        };
        Some(poll())
    }
}

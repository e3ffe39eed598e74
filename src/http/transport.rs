//! What carries a connection: a TCP socket, or something in memory that stands for one.

#![allow(unsafe_code)] // The kernel is asked by ioctl(2); the block says why that is sound.

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

    /// How many of the bytes that were sent are still here, since the other end has not taken them yet. It may cost a system
    /// call.
    fn untaken_length(&self) -> usize {
        0
    }

    /// Has the other end told, once this is dropped, that the connection is broken off, and forgets what is still to be sent.
    fn reset(&self) {}

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
    fn untaken_length(&self) -> usize {
        /// `SIOCOUTQ` (tcp(7)): what stands in the send queue, sent and not acknowledged or not sent.
        const SEND_QUEUE: rustix::ioctl::Opcode = 0x5411;
        // SAFETY: the operation writes one `int`, which is what the getter has room for, and nothing else.
        let getter = unsafe { rustix::ioctl::Getter::<SEND_QUEUE, std::ffi::c_int>::new() };
        // SAFETY: of a socket the number means that operation, and it leaves everything else as it is.
        let length = unsafe { rustix::ioctl::ioctl(self, getter) };
        length.ok().and_then(|length| usize::try_from(length).ok()).unwrap_or(0)
    }

    fn reset(&self) {
        // One that cannot be is gone.
        let _ = self.set_zero_linger();
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    use std::io::Read;

    #[test]
    fn what_a_client_has_not_taken_is_told() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (stream, _) = listener.accept().unwrap();
            stream.set_nonblocking(true).unwrap();
            let stream = TcpStream::from_std(stream).unwrap();
            assert_eq!(stream.untaken_length(), 0);
            let mut sent = 0;
            stream.writable().await.unwrap();
            // Bounded by what two sockets hold.
            while let Ok(length) = stream.try_write(&[0; 64 << 10]) {
                sent += length;
            }
            let untaken = stream.untaken_length();
            assert!((1..sent).contains(&untaken), "{untaken} of {sent}");
            client.read_exact(&mut vec![0; sent]).unwrap();
            // Acknowledged a little after it is read.
            while stream.untaken_length() > 0 {
                std::thread::yield_now();
            }
        });
    }
}

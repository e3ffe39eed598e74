//! What carries a connection: a TCP socket that never blocks, or something in memory that stands for one.

#![allow(unsafe_code)] // The kernel is asked by ioctl(2); the block says why that is sound.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};

use mio::net::TcpStream;
use socket2::SockRef;

use crate::body::Body;

/// A stream of bytes both ways. Whatever would have to wait fails with [`WouldBlock`](io::ErrorKind::WouldBlock), and the
/// loop is told once it need not wait any more.
pub trait Socket {
    /// Reads what has come; 0 bytes at the end.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes as much as there is room for.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Writes as much as there is room for, one slice after the other.
    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Says that nothing more is sent.
    fn shut(&mut self);

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
    /// how many bytes the kernel has taken. `None` if that cannot be done on this socket or with this body.
    fn send_sealed(&mut self, head: &[u8], body: &Body, length_max: usize) -> Option<io::Result<usize>> {
        let _ = (head, body, length_max);
        None
    }
}

impl Socket for TcpStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Read::read(self, buffer)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Write::write(self, bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Write::write_vectored(self, slices)
    }

    fn shut(&mut self) {
        // One that cannot be shut is gone, which reading shows.
        let _ = self.shutdown(Shutdown::Write);
    }

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
        let _ = SockRef::from(self).set_linger(Some(std::time::Duration::ZERO));
    }

    #[cfg(target_os = "linux")]
    fn send_sealed(&mut self, head: &[u8], body: &Body, length_max: usize) -> Option<io::Result<usize>> {
        use rustix::fs::sendfile;
        use rustix::net::{SendFlags, send};

        let (file, start) = body.file()?;
        let sent = match head {
            [] => sendfile(&*self, file, Some(&mut { start }), body.len().min(length_max)),
            // The body follows at once: its first bytes go into the same segment.
            head => send(&*self, head, SendFlags::MORE | SendFlags::NOSIGNAL),
        };
        Some(sent.map_err(io::Error::from))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_has_not_taken_is_told() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        let mut stream = TcpStream::from_std(stream);
        assert_eq!(stream.untaken_length(), 0);
        let mut sent = 0;
        // Bounded by what two sockets hold.
        while let Ok(length) = Socket::write(&mut stream, &[0; 64 << 10]) {
            sent += length;
        }
        let untaken = stream.untaken_length();
        assert!((1..sent).contains(&untaken), "{untaken} of {sent}");
        client.read_exact(&mut vec![0; sent]).unwrap();
        // Acknowledged a little after it is read.
        while stream.untaken_length() > 0 {
            std::thread::yield_now();
        }
    }
}

//! How the server closes: it says so, and waits a little for the client to do the same (RFC 9112, section 9.6).
//!
//! A socket that is closed while bytes of the client are unread resets the connection, and a client that is still sending
//! may lose the answer to that.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::timer::{Timer, Wait};
use super::worker::Worker;

/// Bytes that are read and thrown away at the most.
const DISCARDED_LENGTH_MAX: usize = 1 << 20;

/// A connection that is being closed.
#[derive(Debug, Default)]
pub struct Closing {
    is_shut: bool,
    discarded_length: usize,
}

impl Closing {
    /// Ready when the client has closed too, or has been waited for long enough.
    pub fn poll<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        timer: &Timer,
        worker: &Worker,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        if !self.is_shut {
            // One that cannot be shut is gone, which reading shows.
            let _ = ready!(Pin::new(&mut *stream).poll_shutdown(context));
            self.is_shut = true;
        }
        let scratch = &mut *worker.scratch.borrow_mut();
        while self.discarded_length <= DISCARDED_LENGTH_MAX {
            let mut buffer = ReadBuf::new(&mut scratch.input);
            match Pin::new(&mut *stream).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => self.discarded_length += buffer.filled().len(),
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending if timer.wait(Wait::Close, context) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }
}

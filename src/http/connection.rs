//! One connection's way: through the lane, and from there to the application if it is not closed before.

use std::net::SocketAddr;
use std::rc::Rc;

use actix_http::Protocol;
use actix_service::Service;
use tokio::io::{AsyncRead, AsyncWrite};

use super::guard::Guard;
use super::lane::{Ended, Lane};
use super::worker::Worker;

/// Serves a connection until it is closed.
///
/// `peer` tells who is at the other end; it is asked only where that matters, since it may cost a system call.
pub async fn serve<S, A>(stream: S, peer: impl Fn(&S) -> Option<SocketAddr>, worker: Rc<Worker>, application: Rc<A>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    A: Service<(Guard<S>, Protocol, Option<SocketAddr>)>,
{
    let _open = worker.levels.connection();
    let logged = worker.shared.access_log.is_some();
    let logged_peer = if logged { peer(&stream) } else { None };
    let lane = Lane::new(stream, logged_peer.map(|address| address.ip()), Rc::clone(&worker));
    let Ended::HandedOver { stream, input, timer } = lane.serve().await else {
        return;
    };
    let peer = peer(&stream);
    let guard = Guard::new(stream, input, timer, worker);
    let protocol = if guard.is_http_2() {
        Protocol::Http2
    } else {
        Protocol::Http1
    };
    // In memory of its own: most connections never come here, and need not have room for it. What it fails of has been
    // answered, or concerns nobody but a client that is gone.
    let _ = Box::pin(application.call((guard, protocol, peer))).await;
}

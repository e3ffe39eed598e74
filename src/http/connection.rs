//! One connection's way: through the lane, and from there to the application if it is not closed before.

use std::net::SocketAddr;
use std::rc::Rc;

use actix_http::Protocol;
use actix_service::Service;

use super::guard::Guard;
use super::lane::{Ended, Lane};
use super::transport::Transport;
use super::worker::Worker;

/// Serves a connection until it is closed.
pub async fn serve<S, A>(stream: S, worker: Rc<Worker>, application: Rc<A>)
where
    S: Transport,
    A: Service<(Guard<S>, Protocol, Option<SocketAddr>)>,
{
    let _open = worker.levels.connection();
    // Asked only where it matters.
    let logged_peer = worker.shared.access_log.as_ref().and_then(|_| stream.peer());
    let lane = Lane::new(stream, logged_peer.map(|address| address.ip()), Rc::clone(&worker));
    let Ended::HandedOver { stream, input, timer } = lane.serve().await else {
        return;
    };
    let peer = stream.peer();
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

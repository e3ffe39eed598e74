//! One connection's way: through the lane, and from there to HTTP/2 or to the application if it is not closed before.

use std::net::SocketAddr;
use std::rc::Rc;

use actix_service::Service;

use super::guard::Guard;
use super::h2;
use super::introduction::{Introduced, introduce};
use super::lane::{Ended, Lane};
use super::transport::Transport;
use super::worker::Worker;

/// Serves a connection until it is closed.
pub async fn serve<S, A>(mut stream: S, worker: Rc<Worker>, application: Rc<A>)
where
    S: Transport + 'static,
    A: Service<(Guard<S>, Option<SocketAddr>)>,
{
    let _open = worker.levels.connection();
    let Introduced { client, input } = match &worker.shared.site.introduced_by {
        None => Introduced::default(),
        // In memory of its own, as the application below.
        Some(proxies) => match Box::pin(introduce(&mut stream, proxies, &worker)).await {
            Some(introduced) => introduced,
            None => return,
        },
    };
    // Asked only where it matters.
    let logged_peer = worker
        .shared
        .access_log
        .as_ref()
        .and_then(|_| client.or_else(|| stream.peer()));
    let lane = Lane::new(stream, logged_peer.map(|address| address.ip()), Rc::clone(&worker)).with_input(input);
    let Ended::HandedOver {
        stream,
        input,
        timer,
        is_http_2,
    } = lane.serve().await
    else {
        return;
    };
    let peer = client.or_else(|| stream.peer());
    if is_http_2 {
        return Box::pin(h2::serve(stream, input, timer, peer, worker)).await;
    }
    let guard = Guard::new(stream, input, timer, worker);
    // In memory of its own: most connections never come here, and need not have room for it. What it fails of has been
    // answered, or concerns nobody but a client that is gone.
    let _ = Box::pin(application.call((guard, peer))).await;
}

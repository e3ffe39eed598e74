//! Sockets to application: listeners, workers, connection limits.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_server::Server;
use actix_service::{ServiceFactory, fn_factory, fn_service};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpStream;

use super::access_log::AccessLog;
use super::admin::Admin;
use super::answer::Site;
use super::app::application;
use super::connection::serve;
use super::record::HttpMetrics;
use super::worker::{Shared, Worker};
use crate::lifecycle::Lifecycle;
use crate::snapshot::Publisher;

/// Connections that the kernel holds until a worker takes them.
const BACKLOG: i32 = 4096;

/// A bound socket and what is served on it.
#[derive(Debug)]
pub struct Listener {
    /// For logs: `main` or `admin`.
    pub name: &'static str,
    /// The socket.
    pub socket: TcpListener,
    /// What is served.
    pub site: Arc<Site>,
}

/// What the listeners share.
#[derive(Clone, Debug)]
pub struct Serving {
    /// How long connections may take to end once the server stops.
    pub shutdown_timeout: Duration,
    /// The current snapshot.
    pub publisher: Publisher,
    /// The phase.
    pub lifecycle: Arc<Lifecycle>,
    /// Where requests are counted.
    pub metrics: Arc<HttpMetrics>,
    /// Where requests are logged, if anywhere.
    pub access_log: Option<Arc<AccessLog>>,
    /// Whether plain requests are answered in the lane.
    pub has_lane: bool,
    /// What clients must take of their answers, in bytes a second, where bytes wait for them; 0 for any.
    pub min_send_rate: u32,
    /// Connections that each listener takes at the most; the next ones wait to be accepted.
    pub connections_max: usize,
    /// What the admin endpoints are answered from, if there is a file of the admin token.
    pub admin: Option<Arc<Admin>>,
}

/// Binds a listening socket.
///
/// # Errors
///
/// What the kernel says: mostly that the port is taken or privileged.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A server that is started again must not wait for the connections of the one before it to be forgotten.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Starts a listener's workers. Signals are not handled here.
///
/// Each listener has workers of its own, so that a main listener that has no room left, or no time, leaves probes and
/// metrics alone. `workers` is their number.
///
/// # Errors
///
/// What the kernel says of a socket.
pub fn start(listener: Listener, workers: usize, serving: &Serving) -> io::Result<Server> {
    let Listener { name, socket, site } = listener;
    let shared = Shared {
        site,
        publisher: serving.publisher.clone(),
        lifecycle: Arc::clone(&serving.lifecycle),
        metrics: Arc::clone(&serving.metrics),
        access_log: serving.access_log.clone(),
        admin: serving.admin.clone(),
        has_lane: serving.has_lane,
        min_send_rate: serving.min_send_rate,
    };
    let server = Server::build()
        .workers(workers)
        .max_concurrent_connections(serving.connections_max.div_ceil(workers))
        .disable_signals()
        // Whole seconds are what it takes; a fraction is not cut off.
        .shutdown_timeout(serving.shutdown_timeout.as_millis().div_ceil(1000) as u64)
        .listen(name, socket, move || {
            let shared = shared.clone();
            fn_factory(move || {
                let worker = Worker::start(shared.clone());
                async move {
                    let application = Rc::new(application(&worker).new_service(()).await?);
                    Ok::<_, ()>(fn_service(move |stream: TcpStream| {
                        // A connection that is gone by now shows it when it is read.
                        let _ = stream.set_nodelay(true);
                        let (worker, application) = (Rc::clone(&worker), Rc::clone(&application));
                        async move {
                            serve(stream, worker, application).await;
                            Ok::<_, ()>(())
                        }
                    }))
                }
            })
        })?;
    Ok(server.run())
}

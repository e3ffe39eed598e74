//! Sockets to application: listeners, workers, connection limits.

use std::cell::RefCell;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::HttpService;
use actix_server::Server;
use actix_web::dev::AppConfig;
use actix_web::{App, web};
use socket2::{Domain, Protocol, Socket, Type};

use super::access_log::AccessLog;
use super::admin::Admin;
use super::answer::Site;
use super::app::{Worker, handle};
use super::record::HttpMetrics;
use crate::lifecycle::Lifecycle;
use crate::snapshot::Publisher;

/// How long a kept connection may be idle.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// How long a request's head may take.
const HEAD_TIME_MAX: Duration = Duration::from_secs(5);

/// Connections that the kernel holds until a worker takes them.
const BACKLOG: i32 = 4096;

/// How often an idle worker lets go of a snapshot that is no longer current.
const REFRESH: Duration = Duration::from_secs(1);

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
    /// Threads that serve.
    pub workers: usize,
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

/// Starts the workers. Signals are not handled here.
///
/// # Errors
///
/// What the kernel says of a socket.
pub fn start(listeners: Vec<Listener>, serving: &Serving) -> io::Result<Server> {
    let mut builder = Server::build()
        .workers(serving.workers)
        .disable_signals()
        // Whole seconds are what it takes; a fraction is not cut off.
        .shutdown_timeout(serving.shutdown_timeout.as_millis().div_ceil(1000) as u64);
    for listener in listeners {
        let Listener { name, socket, site } = listener;
        let serving = serving.clone();
        builder = builder.listen(name, socket, move || {
            let levels = serving.metrics.worker();
            let connections = levels.clone();
            let worker = Rc::new(Worker {
                site: Arc::clone(&site),
                reader: RefCell::new(serving.publisher.reader()),
                lifecycle: Arc::clone(&serving.lifecycle),
                metrics: Arc::clone(&serving.metrics),
                levels,
                access_log: serving.access_log.clone(),
                admin: serving.admin.clone(),
            });
            refresh(Rc::downgrade(&worker));
            let app = App::new()
                .app_data(web::Data::new(worker))
                .default_service(web::to(handle));
            let lifecycle = Arc::clone(&serving.lifecycle);
            HttpService::build()
                .keep_alive(KEEP_ALIVE)
                .client_request_timeout(HEAD_TIME_MAX)
                .tcp_nodelay(true)
                // Dropped with the connection.
                .on_connect_ext(move |_: &_, extensions| drop(extensions.insert(connections.connection())))
                .graceful_shutdown_signal(move || {
                    let lifecycle = Arc::clone(&lifecycle);
                    async move { lifecycle.stopping().await }
                })
                .finish(actix_service::map_config(app, |()| AppConfig::default()))
                .tcp_auto_h2c()
        })?;
    }
    Ok(builder.run())
}

/// Reads the current snapshot now and then, as long as the worker is there, so that none is kept alive by idleness.
fn refresh(worker: std::rc::Weak<Worker>) {
    actix_rt::spawn(async move {
        let mut ticks = actix_rt::time::interval(REFRESH);
        loop {
            ticks.tick().await;
            let Some(worker) = worker.upgrade() else { return };
            worker.reader.borrow_mut().read();
        }
    });
}

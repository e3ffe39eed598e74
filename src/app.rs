//! The composition root: builds the parts, connects them, and owns their lifetime.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::config::{Config, CorsOrigins};
use crate::descriptors::make_room_for;
use crate::exit;
use crate::hardware::{Sampler, SamplerError};
use crate::http::answer::cors::Cors;
use crate::http::answer::{Scope, Site};
use crate::http::app::Application;
use crate::http::app::admin::Admin;
use crate::http::app::authorizer::Authorizer;
use crate::http::app::token::TokenFile;
use crate::http::call::Calls;
use crate::http::message::proxies::TrustedProxies;
use crate::http::serve::access_log::AccessLog;
use crate::http::serve::listen::{Listener, Server, bind};
use crate::http::serve::record::HttpMetrics;
use crate::http::serve::usual;
use crate::http::serve::worker::Shared;
use crate::items::{ParseOptions, Way};
use crate::ledger::Ledger;
use crate::lifecycle::{Lifecycle, Phase};
use crate::logging;
use crate::memory::Memory;
use crate::metrics::{Recorder, Registry, process};
use crate::reload::{LoadError, Loading, Reloader, Trigger};
use crate::snapshot::{Publisher, Settings, Snapshot};
use crate::source::watch::Watch;
use crate::source::{Location, Source};

/// Why the program ends without success.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The first load failed.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A port cannot be bound.
    #[error(
        "cannot listen on {address} ({setting}): {error}\n  Is another program listening there? --listen and --admin-listen choose another address; port 0 takes a free one."
    )]
    Bind {
        /// The flag and variable that name the address.
        setting: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the kernel says.
        error: std::io::Error,
    },
    /// The sensors' thread could not be started.
    #[error(transparent)]
    Sampler(SamplerError),
    /// The workers could not be started.
    #[error("cannot start: {0}")]
    Start(std::io::Error),
}

impl Failure {
    /// The exit code for it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Load(error) => error.exit_code(),
            Self::Bind { .. } | Self::Sampler(_) | Self::Start(_) => exit::UNAVAILABLE,
        }
    }
}

/// How long readiness waits for the sensors: one that hangs is no reason not to serve.
const FIRST_SAMPLE_MAX: Duration = Duration::from_secs(1);

/// How often the file of the admin token is looked at, should the kernel not tell of its changes.
const TOKEN_POLL_INTERVAL: Duration = Duration::from_secs(2);

/// What happens to the server from outside of its sockets.
#[derive(Debug)]
enum Event {
    /// SIGTERM.
    Terminate,
    /// SIGINT.
    Interrupt,
    /// The first load has ended.
    FirstLoad(Result<(), LoadError>),
}

/// Makes the calling thread give way to those that serve, which are given ten times its time where both want a core. Less
/// would have a load wait for a part that such a thread has begun.
fn give_way() {
    const NICENESS: i32 = 10;
    // Of the calling thread alone, on Linux (setpriority(2), "C library/kernel differences"). That it fails is no
    // reason not to load.
    let _ = rustix::process::setpriority_process(None, NICENESS);
}

/// How the data is read and compiled, by this configuration.
pub fn loading(config: &Config) -> Loading {
    Loading {
        format: config.format,
        parse: ParseOptions {
            id_field: config.id_field.clone(),
            is_id_required: config.is_id_required,
            pointer: config.pointer.clone(),
            ids_from_keys: config.ids_from_keys,
            charset: config.charset,
            delimiter: config.delimiter,
            unnamed_column: config.unnamed_column.clone(),
            csv_no_quotes: config.csv_no_quotes,
            csv_types: config.csv_types,
            is_growing: false,
            bytes_made_max: max_data_bytes(config),
            size_hint: None,
            ledger: Ledger::default(),
            way: Way::default(),
            collector: None,
            threads: config.load_threads,
            each_thread: give_way,
            ..ParseOptions::default()
        },
        compile: Settings {
            codings: config.encodings.clone(),
            cache_control: config.cache_control.clone(),
            version: env!("CARGO_PKG_VERSION"),
            is_sample: config.data == Location::Sample,
            base_path: config.base_path.clone(),
        },
    }
}

/// Where the data comes from, by this configuration.
pub fn source(config: &Config) -> Source {
    Source::new(config.data.clone(), max_data_bytes(config))
}

/// The most data that is read, and that is made of it, each, in bytes: what is asked for, or a share of the memory that
/// there may be.
fn max_data_bytes(config: &Config) -> u64 {
    config
        .max_data_bytes
        .unwrap_or_else(|| Memory::of_this_process().data_bytes_max())
}

/// Serves until a signal ends it.
///
/// # Errors
///
/// If the source is out of reach, a port cannot be bound, or the first load fails. Later loads that fail are logged.
pub fn serve(config: &Config) -> Result<(), Failure> {
    let source = source(config);
    // Before anything else is begun: who named another file is to hear of that, and not of a port.
    source.probe().map_err(LoadError::from)?;
    let listeners = listen(config)?;
    let lifecycle = Arc::new(Lifecycle::default());
    let loading = loading(config);
    let ledger = loading.parse.ledger.clone();
    let publisher = Publisher::with_ledger(Snapshot::pending(&loading.compile), ledger);
    let (events, happened) = mpsc::channel();
    let (triggers, triggered) = mpsc::channel();
    handle_signals(events.clone(), triggers.clone()).map_err(Failure::Start)?;
    let registry = registry(config);
    let sampler = Sampler::start(config.hardware.clone(), Arc::clone(&registry)).map_err(Failure::Sampler)?;
    let reloader = Reloader::new(source, loading, config.guards, publisher.clone(), &registry);
    let token = config.admin_token_file.clone().map(watch_token);
    let proxies = TrustedProxies::new(config.trusted_proxies.clone());
    let admin = token.as_ref().map(|(token, _watch)| {
        let authorizer = Authorizer::new(Arc::clone(token), &registry);
        let reloads = reloader.handle(triggers.clone());
        Arc::new(Admin::new(authorizer, proxies.clone(), reloads, publisher.clone()))
    });
    spawn_reloader(reloader, config, sampler, events, triggers, triggered);

    if !config.lane {
        tracing::warn!("--no-lane changes nothing any more, and will be refused by the next release");
    }
    let metrics = Arc::new(HttpMetrics::new(Arc::clone(&registry)));
    let access_log = config.access_log.then(|| {
        let log = AccessLog::new(proxies.clone(), logging::flush_access_log);
        Arc::new(log.excluding(config.access_log_exclude.clone()))
    });
    let urls = Urls::of(&listeners, &config.base_path);
    let connections_max = make_room_for(config.max_connections);
    // The first listener has as many loops as are asked for; probes and metrics need but one.
    let loops = std::iter::once(config.workers).chain(std::iter::repeat(1));
    let start = |(bound, loops): (Bound, usize)| {
        let (calls, called) = Calls::queue();
        let application = Application {
            site: Arc::clone(&bound.site),
            publisher: publisher.clone(),
            lifecycle: Arc::clone(&lifecycle),
            registry: Arc::clone(&registry),
            admin: admin.clone(),
        };
        application.start(bound.name, called)?;
        Ok(Listener {
            name: bound.name,
            socket: bound.socket,
            shared: Shared {
                site: bound.site,
                publisher: publisher.clone(),
                lifecycle: Arc::clone(&lifecycle),
                metrics: Arc::clone(&metrics),
                access_log: access_log.clone(),
                calls,
                min_send_rate: config.min_send_rate,
            },
            loops,
            connections_max,
        })
    };
    let listeners = listeners.into_iter().zip(loops).map(start);
    let listeners = listeners.collect::<std::io::Result<_>>().map_err(Failure::Start)?;
    let server = Server::start(listeners, &lifecycle).map_err(Failure::Start)?;
    let interrupted = match attend(&happened, &urls) {
        Ok(interrupted) => interrupted,
        Err(error) => {
            server.stop(Duration::ZERO);
            return Err(Failure::Load(error));
        }
    };
    lifecycle.advance(Phase::Draining);
    if interrupted {
        tracing::info!("stopping; interrupt again to end at once");
    } else {
        tracing::info!(drain_delay = ?config.drain_delay, "draining");
        wait(&happened, config.drain_delay);
    }
    exit_at_once_on_interrupt(happened).map_err(Failure::Start)?;
    server.stop(config.shutdown_timeout);
    tracing::info!("stopped");
    Ok(())
}

/// Waits for the end; says when the data is there. True if it was an interrupt.
fn attend(happened: &mpsc::Receiver<Event>, urls: &Urls) -> Result<bool, LoadError> {
    loop {
        match happened.recv() {
            Ok(Event::FirstLoad(Ok(()))) => urls.announce(),
            Ok(Event::FirstLoad(Err(error))) => return Err(error),
            Ok(Event::Interrupt) => return Ok(true),
            // The signal thread holds a sender as long as the process lives.
            Ok(Event::Terminate) | Err(_) => return Ok(false),
        }
    }
}

/// Waits so long, unless an interrupt ends everything.
fn wait(happened: &mpsc::Receiver<Event>, delay: Duration) {
    let until = Instant::now() + delay;
    while let Ok(event) = happened.recv_timeout(until.saturating_duration_since(Instant::now())) {
        if matches!(event, Event::Interrupt) {
            std::process::exit(i32::from(exit::INTERRUPTED));
        }
    }
}

/// From now on an interrupt does not wait for anything.
fn exit_at_once_on_interrupt(happened: mpsc::Receiver<Event>) -> std::io::Result<()> {
    let run = move || {
        if happened.iter().any(|event| matches!(event, Event::Interrupt)) {
            std::process::exit(i32::from(exit::INTERRUPTED));
        }
    };
    thread::Builder::new().name("janus-interrupt".to_owned()).spawn(run)?;
    Ok(())
}

/// The registry of all series, for Janus and for libraries that use the `metrics` facade.
fn registry(config: &Config) -> Arc<Registry> {
    let registry = Arc::new(Registry::new());
    crate::reload::metrics::register_build(&registry);
    if let Err(error) = process::register(&registry, &config.hardware.procfs_root) {
        tracing::warn!(%error, "the process is not measured");
    }
    if let Err(error) = usual::register(&registry) {
        tracing::warn!(%error, "not all series are there from the start");
    }
    // Only a second server in one process finds another recorder there.
    let _ = metrics::set_global_recorder(Recorder::new(Arc::clone(&registry)));
    registry
}

/// A bound socket and what is served on it.
struct Bound {
    /// For logs: `main` or `admin`.
    name: &'static str,
    socket: std::net::TcpListener,
    site: Arc<Site>,
}

fn listen(config: &Config) -> Result<Vec<Bound>, Failure> {
    let cors = match &config.cors_origin {
        CorsOrigins::None => None,
        CorsOrigins::Any => Some(Cors::any(&config.cors_headers)),
        CorsOrigins::List(origins) => Some(Cors::listed(origins.iter().cloned(), &config.cors_headers)),
    };
    let proxies = config
        .proxy_protocol
        .then(|| TrustedProxies::new(config.trusted_proxies.clone()));
    let bind = |name, setting, address, scope| {
        let socket = bind(address).map_err(|error| Failure::Bind {
            setting,
            address,
            error,
        })?;
        Ok::<_, Failure>(Bound {
            name,
            socket,
            site: Arc::new(Site {
                scope,
                has_token: config.admin_token_file.is_some(),
                cors: cors.clone(),
                base_path: config.base_path.as_str().into(),
                // Nobody comes to the admin listener by a load balancer.
                introduced_by: proxies.clone().filter(|_| scope != Scope::Admin),
            }),
        })
    };
    let scope = if config.admin_listen.is_some() {
        Scope::Public
    } else {
        Scope::All
    };
    let mut listeners = vec![bind("main", "--listen, JANUS_LISTEN", config.listen, scope)?];
    if let Some(address) = config.admin_listen {
        listeners.push(bind(
            "admin",
            "--admin-listen, JANUS_ADMIN_LISTEN",
            address,
            Scope::Admin,
        )?);
    }
    Ok(listeners)
}

/// Where the server can be reached.
#[derive(Debug)]
struct Urls {
    main: Option<SocketAddr>,
    admin: Option<SocketAddr>,
    base_path: String,
}

impl Urls {
    fn of(listeners: &[Bound], base_path: &str) -> Self {
        let address = |name| {
            listeners
                .iter()
                .find(|listener| listener.name == name)?
                .socket
                .local_addr()
                .ok()
        };
        let urls = Self {
            main: address("main"),
            admin: address("admin"),
            base_path: base_path.to_owned(),
        };
        tracing::info!(
            address = urls.main.map(tracing::field::display),
            admin_address = urls.admin.map(tracing::field::display),
            version = crate::cli::VERSION,
            "listening"
        );
        urls
    }

    /// What one can try, for whoever has just started it.
    fn announce(&self) {
        let Some(main) = self.main.map(reachable) else { return };
        let admin = self.admin.map_or(main, reachable);
        let base = &self.base_path;
        tracing::info!(
            items = format!("http://{main}{base}/items"),
            index = format!("http://{main}{base}/"),
            readiness = format!("http://{admin}/readyz"),
            "ready"
        );
    }
}

/// An address that a client on this machine can use for a listener on this one.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    let mut reachable = address;
    if address.ip().is_unspecified() {
        reachable.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    reachable
}

fn handle_signals(events: mpsc::Sender<Event>, triggers: mpsc::Sender<Trigger>) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    let handle = move || {
        for signal in signals.forever() {
            // A receiver that is gone has nothing left to be told.
            let _ = match signal {
                SIGHUP => triggers.send(Trigger::Requested).is_ok(),
                SIGINT => events.send(Event::Interrupt).is_ok(),
                _ => events.send(Event::Terminate).is_ok(),
            };
        }
    };
    thread::Builder::new().name("janus-signals".to_owned()).spawn(handle)?;
    Ok(())
}

/// The admin token, and what has it read again when its file changes.
fn watch_token(path: PathBuf) -> (Arc<TokenFile>, Option<Watch>) {
    let token = Arc::new(TokenFile::new(path.clone()));
    let changed = {
        let token = Arc::clone(&token);
        move |_| token.read()
    };
    let watch = Watch::start(&path, Some(TOKEN_POLL_INTERVAL), changed);
    if let Err(error) = &watch {
        tracing::warn!(%error, "changes of the admin token are not noticed");
    }
    // Watched before it is read, so that no change falls between the two.
    token.read();
    (token, watch.ok())
}

fn spawn_reloader(
    mut reloader: Reloader,
    config: &Config,
    sampler: Sampler,
    events: mpsc::Sender<Event>,
    triggers: mpsc::Sender<Trigger>,
    triggered: mpsc::Receiver<Trigger>,
) {
    let (is_watched, poll_interval) = (config.watch, config.poll_interval);
    let run = move || {
        if is_watched {
            reloader.watch(poll_interval, triggers);
        }
        // Readiness waits for the first sample, so that a replica that takes traffic can be alerted on.
        if !sampler.wait_first(FIRST_SAMPLE_MAX) {
            tracing::warn!("the hardware sensors do not answer; serving without them");
        }
        let loaded = reloader.load_first(&triggered);
        let failed = loaded.is_err();
        if events.send(Event::FirstLoad(loaded)).is_err() || failed {
            return;
        }
        reloader.run(&triggered);
    };
    thread::Builder::new()
        .name("janus-reload".to_owned())
        .spawn(run)
        .expect("a thread can be started");
}

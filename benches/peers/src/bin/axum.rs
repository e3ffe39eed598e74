//! axum on hyper: one thread, pipelined answers flushed together, headers made beforehand.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Response, StatusCode};
use bytes::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use peers::{ITEM_FIELDS, Setup, Site, Target};
use tokio::net::{TcpListener, TcpSocket};

/// A site whose header lines are hyper's.
struct Prepared {
    site: &'static Site,
    ok: Vec<HeaderMap>,
    not_modified: Vec<HeaderMap>,
    item: HeaderMap,
}

impl Prepared {
    fn new(site: &'static Site) -> Self {
        let representations = site.representations.iter();
        Self {
            site,
            ok: representations
                .clone()
                .map(|of| fields(of.fields.iter().copied()))
                .collect(),
            not_modified: representations.map(|of| fields(of.not_modified_fields())).collect(),
            item: fields(ITEM_FIELDS.into_iter()),
        }
    }

    fn collection(&self, index: usize, if_none_match: Option<&[u8]>) -> Response<Body> {
        let representation = &self.site.representations[index];
        if if_none_match == Some(representation.etag().as_bytes()) {
            return response(StatusCode::NOT_MODIFIED, self.not_modified[index].clone(), b"");
        }
        response(StatusCode::OK, self.ok[index].clone(), representation.body)
    }
}

fn fields(of: impl Iterator<Item = (&'static str, &'static str)>) -> HeaderMap {
    of.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect()
}

fn response(status: StatusCode, headers: HeaderMap, body: &'static [u8]) -> Response<Body> {
    let mut response = Response::new(Body::from(Bytes::from_static(body)));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

async fn handle(State(prepared): State<&'static Prepared>, request: Request) -> Response<Body> {
    let headers = request.headers();
    let accepted = headers.get(header::ACCEPT_ENCODING);
    match prepared
        .site
        .target(request.uri().path(), accepted.and_then(|value| value.to_str().ok()))
    {
        Target::Collection(index) => {
            prepared.collection(index, headers.get(header::IF_NONE_MATCH).map(HeaderValue::as_bytes))
        }
        Target::Item(item) => {
            let mut headers = prepared.item.clone();
            headers.insert(header::ETAG, HeaderValue::from_static(item.etag()));
            response(StatusCode::OK, headers, item.body.as_bytes())
        }
        Target::Nothing => response(StatusCode::NOT_FOUND, HeaderMap::new(), b""),
    }
}

fn bind(address: std::net::SocketAddr) -> std::io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(4096)
}

async fn serve() -> std::io::Result<()> {
    let setup = Setup::from_arguments();
    let prepared: &'static Prepared = Box::leak(Box::new(Prepared::new(setup.site)));
    let service = TowerToHyperService::new(Router::new().fallback(handle).with_state(prepared));
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().pipeline_flush(true);
    let listener = bind(setup.address)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (builder, service) = (builder.clone(), service.clone());
        tokio::spawn(async move {
            // A client that goes away is no error of the server.
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

fn main() -> std::io::Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?
        .block_on(serve())
}

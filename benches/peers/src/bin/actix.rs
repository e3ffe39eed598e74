//! Plain actix-web: one worker, a handler that looks up and clones, headers made beforehand.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use bytes::Bytes;
use peers::{ITEM_FIELDS, Setup, Site, Target};

type Fields = Vec<(HeaderName, HeaderValue)>;

/// A site whose header lines are actix-web's.
struct Prepared {
    site: &'static Site,
    ok: Vec<Fields>,
    not_modified: Vec<Fields>,
    item: Fields,
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

    fn collection(&self, index: usize, if_none_match: Option<&[u8]>) -> HttpResponse {
        let representation = &self.site.representations[index];
        if if_none_match == Some(representation.etag().as_bytes()) {
            return response(StatusCode::NOT_MODIFIED, &self.not_modified[index]).finish();
        }
        response(StatusCode::OK, &self.ok[index]).body(Bytes::from_static(representation.body))
    }
}

fn fields(of: impl Iterator<Item = (&'static str, &'static str)>) -> Fields {
    of.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect()
}

fn response(status: StatusCode, fields: &Fields) -> actix_web::HttpResponseBuilder {
    let mut builder = HttpResponse::build(status);
    for (name, value) in fields {
        builder.insert_header((name.clone(), value.clone()));
    }
    builder
}

async fn handle(request: HttpRequest, prepared: web::Data<Prepared>) -> HttpResponse {
    let headers = request.headers();
    let accepted = headers.get(header::ACCEPT_ENCODING);
    match prepared
        .site
        .target(request.path(), accepted.and_then(|value| value.to_str().ok()))
    {
        Target::Collection(index) => {
            prepared.collection(index, headers.get(header::IF_NONE_MATCH).map(HeaderValue::as_bytes))
        }
        Target::Item(item) => response(StatusCode::OK, &prepared.item)
            .insert_header((header::ETAG, HeaderValue::from_static(item.etag())))
            .body(Bytes::from_static(item.body.as_bytes())),
        Target::Nothing => HttpResponse::NotFound().finish(),
    }
}

async fn serve() -> std::io::Result<()> {
    let setup = Setup::from_arguments();
    let prepared = web::Data::new(Prepared::new(setup.site));
    HttpServer::new(move || App::new().app_data(prepared.clone()).default_service(web::to(handle)))
        .workers(1)
        .backlog(4096)
        .keep_alive(Duration::from_secs(75))
        .bind_auto_h2c(setup.address)?
        .run()
        .await
}

fn main() -> std::io::Result<()> {
    actix_web::rt::System::new().block_on(serve())
}

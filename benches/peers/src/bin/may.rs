//! may_minihttp: one worker, header lines made beforehand. Every answer of it has a length, a
//! 304 too, and every body is copied.

use std::io;

use may_minihttp::{HttpServer, HttpService, Request, Response};
use peers::{ITEM_FIELDS, Setup, Site, Target};

#[derive(Clone)]
struct Service {
    site: &'static Site,
    ok: &'static [Vec<&'static str>],
    not_modified: &'static [Vec<&'static str>],
    /// Bodies that are text: those it copies once, others twice.
    texts: &'static [Option<&'static str>],
    item: &'static [&'static str],
}

fn lines(of: impl Iterator<Item = (&'static str, &'static str)>) -> Vec<&'static str> {
    of.map(|(name, value)| &*format!("{name}: {value}").leak()).collect()
}

fn field<'a>(request: &'a Request<'_, '_, '_>, name: &str) -> Option<&'a str> {
    request
        .headers()
        .iter()
        .find(|field| field.name.eq_ignore_ascii_case(name))
        .and_then(|field| str::from_utf8(field.value).ok())
}

fn add(response: &mut Response<'_>, lines: &[&'static str]) {
    for line in lines {
        response.header(line);
    }
}

impl Service {
    fn new(site: &'static Site) -> Self {
        let representations = site.representations.iter();
        let ok: Vec<_> = representations
            .clone()
            .map(|of| lines(of.fields.iter().copied()))
            .collect();
        let texts: Vec<_> = representations.clone().map(|of| str::from_utf8(of.body).ok()).collect();
        let not_modified: Vec<_> = representations.map(|of| lines(of.not_modified_fields())).collect();
        Self {
            site,
            ok: ok.leak(),
            not_modified: not_modified.leak(),
            texts: texts.leak(),
            item: lines(ITEM_FIELDS.into_iter()).leak(),
        }
    }

    fn collection(&self, index: usize, if_none_match: Option<&str>, response: &mut Response<'_>) {
        let representation = &self.site.representations[index];
        if if_none_match == Some(representation.etag()) {
            response.status_code(304, "Not Modified");
            return add(response, &self.not_modified[index]);
        }
        add(response, &self.ok[index]);
        match self.texts[index] {
            Some(text) => response.body(text),
            None => response.body_mut().extend_from_slice(representation.body),
        }
    }
}

impl HttpService for Service {
    fn call(&mut self, request: Request<'_, '_, '_>, response: &mut Response<'_>) -> io::Result<()> {
        match self.site.target(request.path(), field(&request, "accept-encoding")) {
            Target::Collection(index) => self.collection(index, field(&request, "if-none-match"), response),
            Target::Item(item) => {
                add(response, self.item);
                response.header(item.etag_line);
                response.body(item.body);
            }
            Target::Nothing => {
                response.status_code(404, "Not Found");
            }
        }
        Ok(())
    }
}

fn main() -> io::Result<()> {
    let setup = Setup::from_arguments();
    may::config().set_workers(1);
    let server = HttpServer(Service::new(setup.site)).start(setup.address)?;
    server.join().expect("the server runs until it is ended");
    Ok(())
}

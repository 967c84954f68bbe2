//! The console at `/`, and the API's description at `/docs` and `/api/openapi.json`. Their files are compiled
//! in, and their policy allows no others.

mod status;

use std::future::ready;

use actix_web::http::header::{self, EntityTag};
use actix_web::web::{Bytes, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};

use crate::resource::{get, resource};
use crate::{etag, openapi};

/// Only scripts, styles and requests of this origin; no embedding in frames.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Path, media type and content of each file.
const FILES: [(&str, &str, &str); 6] = [
    ("/", HTML, include_str!("console.html")),
    ("/console/console.js", SCRIPT, include_str!("console.js")),
    ("/console/page.js", SCRIPT, include_str!("page.js")),
    ("/console/page.css", CSS, include_str!("page.css")),
    ("/docs", HTML, include_str!("docs.html")),
    ("/docs/docs.js", SCRIPT, include_str!("docs.js")),
];

pub(crate) fn configure(app: &mut ServiceConfig) {
    for (path, media_type, content) in FILES {
        let tag = etag::of(content.as_bytes());
        let file = move |request: HttpRequest| ready(respond(&request, &tag, media_type, content));
        app.service(resource(path, "GET, HEAD").route(get(file)));
    }
    app.service(resource("/api/openapi.json", "GET, HEAD").route(get(openapi::serve)));
    app.service(resource("/console/status", "GET, HEAD").route(get(status::status)));
}

fn respond(request: &HttpRequest, tag: &EntityTag, media_type: &str, content: &'static str) -> HttpResponse {
    let content = Bytes::from_static(content.as_bytes());
    etag::respond(request, tag.clone(), media_type, content, |response| {
        response
            .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
            .insert_header((header::CACHE_CONTROL, "no-cache"));
    })
}

//! Files that are compiled in: the style sheet and the script of the pages, and the API's description at
//! `/docs` and `/api/openapi.json`.

use std::future::ready;

use actix_web::http::header::{self, EntityTag};
use actix_web::web::{Bytes, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};

use crate::resource::{get, resource};
use crate::{etag, openapi};

/// Only scripts, styles, images, requests and forms of this origin; no embedding in frames.
pub(crate) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                                 connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

pub(crate) const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Path, media type and content of each file. Those below `/assets` and `/docs` make no spans.
const FILES: [(&str, &str, &str); 6] = [
    ("/assets/ui.css", CSS, ui::CSS),
    ("/assets/ui.js", SCRIPT, ui::SCRIPT),
    ("/assets/logo.svg", SVG, ui::LOGO),
    ("/assets/console.js", SCRIPT, include_str!("../assets/console.js")),
    ("/docs", HTML, include_str!("../assets/docs.html")),
    ("/docs/docs.js", SCRIPT, include_str!("../assets/docs.js")),
];

pub(crate) fn configure(app: &mut ServiceConfig) {
    for (path, media_type, content) in FILES {
        let tag = etag::of(content.as_bytes());
        let file = move |request: HttpRequest| ready(respond(&request, &tag, media_type, content));
        app.service(resource(path, "GET, HEAD").route(get(file)));
    }
    app.service(resource("/api/openapi.json", "GET, HEAD").route(get(openapi::serve)));
}

fn respond(request: &HttpRequest, tag: &EntityTag, media_type: &str, content: &'static str) -> HttpResponse {
    let content = Bytes::from_static(content.as_bytes());
    etag::respond(request, tag.clone(), media_type, content, |response| {
        response
            .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
            .insert_header((header::CACHE_CONTROL, "no-cache"));
    })
}

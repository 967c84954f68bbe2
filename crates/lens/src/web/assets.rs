//! Files that are compiled in: the style sheet, the scripts and the icon of the pages.

use actix_web::HttpResponse;
use actix_web::web::{self, ServiceConfig};

const SVG: &str = "image/svg+xml";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Path, media type and content.
const FILES: [(&str, &str, &str); 5] = [
    ("/assets/ui.css", "text/css; charset=utf-8", ui::CSS),
    ("/assets/ui.js", SCRIPT, ui::SCRIPT),
    ("/assets/lens.js", SCRIPT, include_str!("../../assets/lens.js")),
    ("/assets/logo.svg", SVG, ui::LOGO),
    // For pages without a head, such as the text of a trace.
    ("/favicon.ico", SVG, ui::LOGO),
];

pub(super) fn routes(service: &mut ServiceConfig) {
    for (path, media_type, content) in FILES {
        let file = move || async move { HttpResponse::Ok().content_type(media_type).body(content) };
        service.service(web::resource(path).get(file));
    }
}

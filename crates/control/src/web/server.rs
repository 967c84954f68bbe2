//! The HTTP server, on threads of its own.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;

use actix_web::dev::ServerHandle;
use actix_web::http::header::{self, HeaderValue};
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data};
use actix_web::{App, HttpResponse, HttpServer};
use tokio::task::JoinHandle;

use super::shared::Shared;
use super::{access, actions, live, pages};

const THREADS: usize = 2;

/// Path, media type and content of each file.
const FILES: [(&str, &str, &str); 4] = [
    ("/assets/ui.css", "text/css; charset=utf-8", ui::CSS),
    ("/assets/ui.js", "text/javascript; charset=utf-8", ui::SCRIPT),
    (
        "/assets/control.js",
        "text/javascript; charset=utf-8",
        include_str!("../../assets/control.js"),
    ),
    ("/assets/logo.svg", "image/svg+xml", ui::LOGO),
];

pub(crate) struct Server {
    handle: ServerHandle,
    server: JoinHandle<io::Result<()>>,
}

impl Server {
    pub(crate) fn start(listener: TcpListener, shared: Arc<Shared>) -> io::Result<Self> {
        let shared = Data::from(shared);
        let server = HttpServer::new(move || {
            let app = App::new()
                .app_data(Data::clone(&shared))
                .route("/", web::get().to(pages::show))
                .route("/api/system", web::get().to(pages::json))
                .route("/live", web::get().to(live::follow))
                .route("/actions/{kind}", web::post().to(actions::act));
            FILES
                .into_iter()
                .fold(app, |app, (path, media_type, content)| {
                    let file = move || async move { file(media_type, content) };
                    app.route(path, web::get().to(file))
                })
                .wrap(from_fn(access::guard))
        })
        .workers(THREADS)
        .disable_signals()
        .listen(listener)?
        .run();
        Ok(Self {
            handle: server.handle(),
            server: tokio::spawn(server),
        })
    }

    /// Ends it at once: open pages never end by themselves.
    pub(crate) async fn stop(self) {
        self.handle.stop(false).await;
        let _ = self.server.await;
    }
}

fn file(media_type: &'static str, content: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, HeaderValue::from_static(media_type)))
        .body(content)
}

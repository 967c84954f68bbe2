//! Collectors that record their requests, or that fail.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

use crate::probe::{Task, run};

const AUTHORITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/tls/authority.pem");
const CERTIFICATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/tls/server.pem");
const KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/tls/server.key.pem");

fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// Accepts connections and never responds.
pub(crate) fn silent() -> String {
    let (listener, port) = listen();
    std::thread::spawn(move || listener.incoming().collect::<Vec<_>>());
    format!("http://127.0.0.1:{port}")
}

/// Accepts connections and never responds: its URL, and the number of connections that sent something.
pub(crate) fn holding() -> (String, Arc<AtomicUsize>) {
    let (listener, port) = listen();
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&requests);
    std::thread::spawn(move || {
        let count = |mut socket: TcpStream| {
            socket.read_exact(&mut [0]).unwrap();
            counter.fetch_add(1, Ordering::Relaxed);
            socket
        };
        listener
            .incoming()
            .map(|socket| count(socket.unwrap()))
            .collect::<Vec<_>>()
    });
    (format!("http://127.0.0.1:{port}"), requests)
}

/// Rejects every request with 400.
pub(crate) fn rejecting() -> String {
    let (listener, port) = listen();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let _ = respond(&mut socket.unwrap(), "400 Bad Request");
        }
    });
    format!("http://127.0.0.1:{port}")
}

/// A received request.
struct Received {
    /// In lower case.
    head: String,
    body: Vec<u8>,
}

/// Reads a request and responds to it.
fn respond(socket: &mut (impl Read + Write), status: &str) -> std::io::Result<Received> {
    let mut request = Vec::new();
    let head = loop {
        let mut chunk = [0; 4096];
        let read = socket.read(&mut chunk)?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        request.extend_from_slice(&chunk[..read]);
        let end = request.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(end) = end {
            break String::from_utf8_lossy(&request[..end]).to_lowercase();
        }
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.unwrap().parse().unwrap();
    let mut body = request.split_off(head.len() + 4);
    let read = body.len();
    body.resize(length, 0);
    socket.read_exact(&mut body[read..])?;
    write!(
        socket,
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    )?;
    socket.flush()?;
    Ok(Received { head, body })
}

/// A collector over HTTPS: its port, and the heads of its requests.
fn over_tls() -> (u16, mpsc::Receiver<String>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let certificate = CertificateDer::from_pem_file(CERTIFICATE).unwrap();
    let key = PrivateKeyDer::from_pem_file(KEY).unwrap();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    let (listener, port) = listen();
    let (seen, heads) = mpsc::channel();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = rustls::StreamOwned::<_, TcpStream>::new(connection, socket.unwrap());
            if let Ok(request) = respond(&mut stream, "200 OK") {
                let _ = seen.send(request.head);
            }
        }
    });
    (port, heads)
}

/// A collector that rejects the first attempt: its port, and the bodies of its requests.
fn busy_at_first() -> (u16, mpsc::Receiver<Vec<u8>>) {
    let (listener, port) = listen();
    let (seen, bodies) = mpsc::channel();
    std::thread::spawn(move || {
        for (number, socket) in listener.incoming().enumerate() {
            let status = match number {
                0 => "503 Service Unavailable",
                _ => "200 OK",
            };
            if let Ok(request) = respond(&mut socket.unwrap(), status) {
                let _ = seen.send(request.body);
            }
        }
    });
    (port, bodies)
}

#[tokio::test]
async fn a_busy_collector_gets_the_same_spans_again() {
    let (port, bodies) = busy_at_first();
    run(
        Task::Once,
        &[
            (
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                format!("http://127.0.0.1:{port}").as_str(),
            ),
            ("OTEL_METRICS_EXPORTER", "none"),
            ("OTEL_LOGS_EXPORTER", "none"),
        ],
    )
    .await;
    let (first, second) = (bodies.try_recv().unwrap(), bodies.try_recv().unwrap());
    assert_eq!(first, second);
    let request = ExportTraceServiceRequest::decode(second.as_slice()).unwrap();
    assert!(!request.resource_spans[0].scope_spans[0].spans.is_empty());
}

#[tokio::test]
async fn a_hosted_backend_gets_its_key_over_tls_by_http() {
    let (port, heads) = over_tls();
    run(
        Task::Once,
        &[
            (
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
                format!("https://localhost:{port}/in").as_str(),
            ),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=a%20key"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", AUTHORITY),
            ("OTEL_METRICS_EXPORTER", "none"),
            ("OTEL_LOGS_EXPORTER", "none"),
        ],
    )
    .await;
    let head = heads.try_recv().expect("a request");
    assert!(head.starts_with("post /in http/1.1"), "{head}");
    assert!(head.contains("x-api-key: a key"), "{head}");
    assert!(head.contains("content-type: application/x-protobuf"), "{head}");
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_not_trusted() {
    let (port, heads) = over_tls();
    run(
        Task::Once,
        &[
            (
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                format!("https://localhost:{port}").as_str(),
            ),
            ("OTEL_METRICS_EXPORTER", "none"),
            ("OTEL_LOGS_EXPORTER", "none"),
        ],
    )
    .await;
    heads.try_recv().unwrap_err();
}

#[derive(Debug)]
struct Keys(mpsc::Sender<String>);

#[tonic::async_trait]
impl TraceService for Keys {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let key = request.metadata().get("x-api-key");
        let key = key.and_then(|key| key.to_str().ok()).unwrap_or_default();
        let _ = self.0.send(key.to_owned());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tokio::test]
async fn a_hosted_backend_gets_its_key_over_mutual_tls_by_grpc() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let pem = |path| std::fs::read(path).unwrap();
    let tls = ServerTlsConfig::new()
        .identity(Identity::from_pem(pem(CERTIFICATE), pem(KEY)))
        .client_ca_root(Certificate::from_pem(pem(AUTHORITY)));
    let (sender, keys) = mpsc::channel();
    let server = Server::builder()
        .tls_config(tls)
        .unwrap()
        .add_service(TraceServiceServer::new(Keys(sender)));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    run(
        Task::Once,
        &[
            (
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                format!("https://localhost:{port}").as_str(),
            ),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=a%20key"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", AUTHORITY),
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", CERTIFICATE),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", KEY),
            ("OTEL_METRICS_EXPORTER", "none"),
            ("OTEL_LOGS_EXPORTER", "none"),
        ],
    )
    .await;
    assert_eq!(keys.try_recv().as_deref(), Ok("a key"));
}

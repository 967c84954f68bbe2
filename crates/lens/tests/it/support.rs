//! A lens on free ports, and a client for it.

use reqwest::{Client, Response, StatusCode};
use throughline_lens::{Lens, LensConfig};

pub(crate) async fn lens() -> Lens {
    lens_with_limit(LensConfig::default().max_bytes).await
}

pub(crate) async fn lens_with_limit(max_bytes: usize) -> Lens {
    lens_with(LensConfig {
        max_bytes,
        ..LensConfig::default()
    })
    .await
}

/// On free ports.
pub(crate) async fn lens_with(config: LensConfig) -> Lens {
    let config = LensConfig {
        http_port: 0,
        otlp_grpc_port: 0,
        otlp_http_port: 0,
        ..config
    };
    Lens::start(config).await.unwrap()
}

pub(crate) fn client() -> Client {
    // reqwest is built with TLS, which requires a provider even for plain HTTP.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

pub(crate) async fn get(url: String) -> Response {
    client().get(url).send().await.unwrap()
}

pub(crate) async fn get_json(url: String, expected: StatusCode) -> serde_json::Value {
    let response = get(url).await;
    assert_eq!(response.status(), expected);
    response.json().await.unwrap()
}

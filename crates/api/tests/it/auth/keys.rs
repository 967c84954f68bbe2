//! Keys from a file, and keys that an issuer publishes and changes while the service runs.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::tokens::{Issuer, claims, list};
use crate::service::Api;

const SCOPE: &str = "orders:read";

#[tokio::test]
async fn a_public_key_file_pins_the_algorithm() {
    let folder = std::env::temp_dir().join(uuid::Uuid::new_v4().to_string());
    std::fs::create_dir(&folder).unwrap();
    let issuers = [Issuer::rsa(), Issuer::ec(), Issuer::ed()];
    for issuer in &issuers {
        let file = folder.join(issuer.algorithm());
        std::fs::write(&file, issuer.pem()).unwrap();
        let api = Api::with(&[("AUTH", "jwt"), ("JWT_PUBLIC_KEY_FILE", file.to_str().unwrap())]).await;
        for other in &issuers {
            let good = other.algorithm() == issuer.algorithm();
            let response = list(&api, &other.token("any", &claims("ada", SCOPE))).await;
            assert_eq!(response.status, if good { 200 } else { 401 }, "{response:?}");
        }
    }
    std::fs::remove_dir_all(folder).unwrap();
}

/// Publishes `document`, and counts the requests.
struct Publisher {
    address: SocketAddr,
    document: Arc<Mutex<Value>>,
    requests: Arc<AtomicUsize>,
}

impl Publisher {
    fn start(document: Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let publisher = Self {
            address: listener.local_addr().unwrap(),
            document: Arc::new(Mutex::new(document)),
            requests: Arc::default(),
        };
        let (document, requests) = (Arc::clone(&publisher.document), Arc::clone(&publisher.requests));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 4096]).unwrap();
                requests.fetch_add(1, Ordering::SeqCst);
                let body = document.lock().unwrap().to_string();
                let length = body.len();
                write!(
                    stream,
                    "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
                )
                .unwrap();
            }
        });
        publisher
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn published_keys_are_cached_and_a_new_one_is_found() {
    let (old, new) = (Issuer::ec(), Issuer::ed());
    let junk = json!({ "kty": "oct", "kid": "secret", "k": "c2VjcmV0" });
    let publisher =
        Publisher::start(json!({ "keys": [junk, { "kty": "?" }, old.jwk("old"), Issuer::rsa().jwk("rsa")] }));
    let url = format!("http://{}/keys", publisher.address);
    let api = Api::with(&[("AUTH", "jwt"), ("JWT_JWKS_URL", &url)]).await;

    let ada = claims("ada", SCOPE);
    for _ in 0..3 {
        assert_eq!(list(&api, &old.token("old", &ada)).await.status, 200);
        assert_eq!(list(&api, &Issuer::rsa().token("rsa", &ada)).await.status, 200);
    }
    assert_eq!(publisher.requests(), 1);

    // Made-up key ids do not each cause a fetch.
    for kid in ["secret", "x", "y", "z", "rsa"] {
        let forged = super::tokens::signed(&json!({ "alg": "HS256", "kid": kid }), &ada, |message| {
            let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"secret");
            ring::hmac::sign(&key, message).as_ref().to_vec()
        });
        assert_eq!(list(&api, &forged).await.status, 401);
    }
    assert!(publisher.requests() <= 2, "{}", publisher.requests());

    *publisher.document.lock().unwrap() = json!({ "keys": [new.jwk("new")] });
    testkit::eventually("the new key to be found", Duration::from_secs(30), async || {
        let response = list(&api, &new.token("new", &ada)).await;
        (response.status == 200).then_some(())
    })
    .await;
    assert_eq!(list(&api, &old.token("old", &ada)).await.status, 401);
}

#[tokio::test]
async fn an_unavailable_issuer_is_503() {
    let unreachable = format!("http://127.0.0.1:{}/keys", testkit::free_port().unwrap());
    let api = Api::with(&[("AUTH", "jwt"), ("JWT_JWKS_URL", &unreachable)]).await;
    let response = list(&api, &Issuer::ec().token("k", &claims("ada", SCOPE))).await;
    assert_eq!(
        response.problem(503, "/api/orders"),
        "Tokens cannot be checked at the moment. Try again."
    );
    assert_eq!(api.get("/api/orders").await.status, 401);
}

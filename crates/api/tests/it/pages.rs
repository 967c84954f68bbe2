//! The pages load nothing from other origins, and the OpenAPI document is right.

use reqwest::Method;

use crate::auth::tokens::SECRET;
use crate::response::Response;
use crate::service::Api;

#[tokio::test]
async fn pages_load_nothing_from_elsewhere() {
    let api = Api::start().await;
    for path in ["/", "/docs"] {
        let page = api.get(path).await;
        assert_eq!(page.status, 200, "{path}");
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
        let policy = page.header("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self';"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(!page.text.contains("//"), "{path} names another origin");
        let assets = page
            .text
            .split(['"', '\''])
            .filter(|text| text.starts_with('/') && (text.ends_with(".js") || text.ends_with(".css")));
        for asset in assets {
            assert_eq!(api.get(asset).await.status, 200, "{asset}");
        }
    }
}

#[tokio::test]
async fn an_error_page_has_the_headers_of_its_error() {
    let api = Api::start().await;
    let page = Response::of(api.request(Method::PUT, "/orders")).await;
    assert_eq!((page.status, page.header("allow")), (405, Some("GET, HEAD")));
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
}

#[tokio::test]
async fn outside_of_development_pages_have_a_port_of_their_own_or_none() {
    let production = [
        ("ENVIRONMENT", "production"),
        ("AUTH", "jwt"),
        ("JWT_SECRET", SECRET),
        ("JWT_ISSUER", "https://id.example"),
        ("JWT_AUDIENCE", "orders"),
    ];
    let port = testkit::free_port().unwrap().to_string();
    let console = ("CONSOLE_PORT", port.as_str());
    for environment in [&production[..], &[&production[..], &[console]].concat()] {
        let api = Api::with(environment).await;
        for path in [
            "/",
            "/docs",
            "/assets/ui.css",
            "/sign-in",
            "/live/frame",
            "/api/openapi.json",
        ] {
            assert_eq!(api.get(path).await.status, 404, "{path}");
        }
        assert_eq!(api.get("/api/orders").await.status, 401);
        if environment.contains(&console) {
            let get = async |path: &str| {
                let url = format!("http://127.0.0.1:{port}{path}");
                reqwest::get(url).await.unwrap().status()
            };
            for path in ["/", "/docs", "/assets/ui.css", "/sign-in", "/api/openapi.json"] {
                assert_eq!(get(path).await, 200, "{path}");
            }
            assert_eq!(get("/api/orders").await, 401);
        }
    }
}

#[tokio::test]
async fn the_document_that_is_served_is_the_committed_one() {
    let api = Api::start().await;
    let served = api.get("/api/openapi.json").await;
    assert_eq!(served.header("content-type"), Some("application/json"));
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    let same = served.text == std::fs::read_to_string(committed).unwrap();
    assert!(same, "crates/api/openapi.json is out of date");
    assert_eq!(served.body["openapi"], "3.1.0");
    for path in ["/api/openapi.json", "/docs"] {
        let tag = api.get(path).await.header("etag").unwrap().to_owned();
        let again = api.request(Method::GET, path).header("if-none-match", tag);
        assert_eq!(Response::of(again).await.status, 304, "{path}");
    }
}

#[tokio::test]
async fn every_example_of_a_new_order_is_accepted() {
    let api = Api::start().await;
    let document = api.get("/api/openapi.json").await.body;
    let examples = document.pointer("/components/schemas/NewOrder/examples");
    let examples = examples.unwrap().as_array().unwrap();
    assert!(!examples.is_empty());
    for example in examples {
        let response = api.post("/api/orders", example).await;
        assert_eq!(response.status, 201, "{example}: {response:?}");
    }
}

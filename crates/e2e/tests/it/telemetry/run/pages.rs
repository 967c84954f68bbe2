//! Every page of the console, and every form, as an operator's browser requests them.

use reqwest::header::{COOKIE, HeaderMap, HeaderValue, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response};

use super::UNKNOWN;
use super::caller::token;

struct Browser {
    client: Client,
    url: String,
}

impl Browser {
    fn with(url: &str, headers: HeaderMap) -> Self {
        let client = Client::builder()
            .default_headers(headers)
            .redirect(Policy::none());
        Self {
            client: client.build().unwrap(),
            url: url.to_owned(),
        }
    }

    async fn get(&self, path: &str, status: u16) -> String {
        let response = self.send(Method::GET, path, &[]).await;
        assert_eq!(response.status(), status, "{path}");
        response.text().await.unwrap()
    }

    async fn send(&self, method: Method, path: &str, fields: &[(&str, &str)]) -> Response {
        let request = self.client.request(method, format!("{}{path}", self.url));
        let request = request.header("sec-fetch-site", "same-origin").form(fields);
        request.send().await.unwrap()
    }
}

/// `id` is an order that is final.
pub(super) async fn pages(console: &str, id: &str) {
    let visitor = Browser::with(console, HeaderMap::new());
    visitor.get("/", 303).await;
    visitor.get("/sign-in", 200).await;
    let refused = visitor.send(Method::POST, "/sign-in", &[("token", "x")]).await;
    assert_eq!(refused.status(), 401);
    let token = token("ada", "orders:admin");
    let signed_in = visitor.send(Method::POST, "/sign-in", &[("token", &token)]).await;
    let cookie = signed_in.headers()[SET_COOKIE].to_str().unwrap().to_owned();
    let cookie = HeaderValue::from_str(cookie.split(';').next().unwrap()).unwrap();
    let operator = Browser::with(console, HeaderMap::from_iter([(COOKIE, cookie)]));

    let overview = operator.get("/", 200).await;
    let csrf = overview.split("name=\"csrf\" value=\"").nth(1).unwrap();
    let csrf = csrf.split('"').next().unwrap();
    for path in [
        "/orders",
        "/failures",
        "/queue",
        "/operations",
        "/queue/pause",
        "/queue/resume",
    ] {
        operator.get(path, 200).await;
    }
    operator.get(&format!("/orders/{id}"), 200).await;
    operator.get(&format!("/orders/{UNKNOWN}"), 404).await;
    operator.get(&format!("/search?q={id}"), 303).await;
    for change in ["retry", "cancel"] {
        let path = format!("/orders/{id}/{change}");
        operator.get(&path, 200).await;
        let refused = operator.send(Method::POST, &path, &[("csrf", csrf)]).await;
        assert_eq!(refused.status(), 409, "{path}");
        operator.get(&format!("/orders/{change}?customer=ada"), 200).await;
    }
    for path in ["/queue/pause", "/queue/resume"] {
        let changed = operator.send(Method::POST, path, &[("csrf", csrf)]).await;
        assert_eq!(changed.status(), 303, "{path}");
    }
    let none = [("csrf", csrf), ("customer", "of-no-orders")];
    for path in ["/orders/retry", "/orders/cancel"] {
        let started = operator.send(Method::POST, path, &none).await;
        let operation = started.headers()[LOCATION].to_str().unwrap();
        operator.get(operation, 200).await;
    }
    live(&operator, id).await;
    let out = operator.send(Method::POST, "/sign-out", &[("csrf", csrf)]).await;
    assert_eq!(out.status(), 303);
}

/// The streams end when their responses are dropped.
async fn live(operator: &Browser, id: &str) {
    for path in ["frame", "overview", "failures", "queue", "operations"] {
        let head = operator.send(Method::GET, &format!("/live/{path}"), &[]).await;
        assert_eq!(head.status(), 200, "{path}");
    }
    for path in [format!("orders/{id}"), format!("operations/{UNKNOWN}")] {
        let head = operator.send(Method::GET, &format!("/live/{path}"), &[]).await;
        assert_eq!(head.status(), 200, "{path}");
    }
}

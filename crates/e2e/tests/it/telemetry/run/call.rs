//! A request and its expected response.

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use testkit::Service::Api;

use crate::shop::Shop;

pub(super) struct Call(RequestBuilder);

impl Call {
    /// To the shop's api.
    pub(super) fn new(shop: &Shop, method: Method, path: &str) -> Self {
        Self::to(&shop.http, &shop.stack.url(Api), method, path)
    }

    pub(super) fn to(client: &Client, url: &str, method: Method, path: &str) -> Self {
        Self(client.request(method, format!("{url}{path}")))
    }

    pub(super) fn header(self, name: &str, value: &str) -> Self {
        Self(self.0.header(name, value))
    }

    pub(super) fn query(self, query: &str) -> Self {
        let (client, request) = self.0.build_split();
        let mut request = request.unwrap();
        request.url_mut().set_query(Some(query));
        Self(RequestBuilder::from_parts(client, request))
    }

    pub(super) fn json(self, body: &Value) -> Self {
        Self(self.0.json(body))
    }

    pub(super) fn body(self, body: &'static str) -> Self {
        Self(self.0.body(body))
    }

    /// Sends it; returns the head of the response.
    pub(super) async fn send(self) -> Response {
        self.0.send().await.unwrap()
    }

    /// Returns the body of the response, which must have this status.
    pub(super) async fn expect_status(self, status: u16) -> String {
        let response = self.send().await;
        let (seen, url) = (response.status(), response.url().clone());
        let body = response.text().await.unwrap();
        assert_eq!(seen, StatusCode::from_u16(status).unwrap(), "{url}: {body}");
        body
    }
}

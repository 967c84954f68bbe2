//! What a browser does: it keeps the session's cookie, says where a form comes from, and follows no link by
//! itself.

use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder};

use crate::auth::tokens::SECRET;
use crate::response::Response;
use crate::service::Api;

/// A service whose console requires a session.
pub(crate) async fn api() -> Api {
    Api::with(&[("AUTH", "jwt"), ("JWT_SECRET", SECRET)]).await
}

/// A browser at one service.
pub(crate) struct Browser {
    client: Client,
    url: String,
    cookie: Option<String>,
}

impl Browser {
    pub(crate) fn at(api: &Api) -> Self {
        Self {
            client: Client::builder()
                .no_proxy()
                .redirect(Policy::none())
                .build()
                .unwrap(),
            url: api.url.clone(),
            cookie: None,
        }
    }

    /// A browser with a session for this token.
    pub(crate) async fn signed_in(api: &Api, token: &str) -> Self {
        let mut browser = Self::at(api);
        let response = browser.post("/sign-in", &[("token", token)]).await;
        assert_eq!(response.status, 303, "{response:?}");
        browser.cookie = cookie_of(&response);
        browser
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.url));
        match &self.cookie {
            Some(cookie) => request.header("cookie", cookie),
            None => request,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        Response::of(self.request(Method::GET, path)).await
    }

    /// Sends a form of a page of this origin.
    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        let request = self
            .request(Method::POST, path)
            .header("sec-fetch-site", "same-origin");
        Response::of(request.form(fields)).await
    }

    /// The secret of this session's forms, from the page of any of them.
    pub(crate) async fn csrf(&self) -> String {
        let page = self.get("/").await.text;
        let (_, rest) = page.split_once("name=\"csrf\" value=\"").expect("a form");
        rest.split('"').next().unwrap().to_owned()
    }
}

/// The cookie that a response sets, as the browser sends it.
fn cookie_of(response: &Response) -> Option<String> {
    let header = response.header("set-cookie")?;
    Some(header.split(';').next()?.to_owned())
}

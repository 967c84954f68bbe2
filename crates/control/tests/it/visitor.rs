//! A person at a control room, without a browser.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use serde_json::Value;
use testkit::{Binaries, Postgres, Profile, Redis, Service, Stack, eventually};
use throughline_control::{Door, Options, Room, Servers, System};
use tokio::sync::OnceCell;
use tokio_postgres::NoTls;

/// The upper bound of every wait; generous because the machine may be busy.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(120);

pub(crate) struct Visitor {
    // Dropped in this order.
    _room: Room,
    pub(crate) system: Arc<System>,
    pub(crate) http: Client,
    pub(crate) url: String,
    pub(crate) entrance: String,
    pub(crate) api: String,
    pub(crate) gateway: String,
    pub(crate) database_url: String,
    pub(crate) redis_url: String,
    pub(crate) cookie: String,
    pub(crate) csrf: String,
}

impl Visitor {
    /// A visitor who opened the address that `up` prints.
    pub(crate) async fn enters() -> Self {
        // It fails in all tests of this process but the first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (postgres, redis) = (Postgres::start().await.unwrap(), Redis::start().await.unwrap());
        let database_url = postgres.ensure_database("throughline").await.unwrap();
        let redis_url = redis.url().to_owned();
        let door = Door::open(None).unwrap();
        let stack = Stack::builder(&database_url, &redis_url)
            .binaries(binaries().await)
            .start()
            .await
            .unwrap();
        let (api, gateway) = (stack.url(Service::Api), stack.url(Service::Gateway));
        let (url, entrance) = (door.url(), door.entrance());
        let servers = Servers {
            postgres: Some(postgres),
            redis: Some(redis),
            database_url: database_url.clone(),
            redis_url: redis_url.clone(),
        };
        let system = Arc::new(System::new(vec![stack], servers).unwrap());
        let options = Options {
            token: Arc::new(|| None),
            lease: Duration::from_secs(60),
        };
        let room = Room::start(door, system.clone(), options).unwrap();
        let http = Client::builder().redirect(Policy::none()).build().unwrap();
        let entered = http.get(&entrance).send().await.unwrap();
        assert_eq!(entered.status(), StatusCode::SEE_OTHER);
        assert_eq!(entered.headers()[LOCATION], "/");
        let cookie = entered.headers()[SET_COOKIE].to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let mut visitor = Self {
            _room: room,
            system,
            http,
            url,
            entrance,
            api,
            gateway,
            database_url,
            redis_url,
            cookie,
            csrf: String::new(),
        };
        let page = visitor.gets("/").await.text().await.unwrap();
        let (_, rest) = page.split_once("name=\"csrf\" value=\"").unwrap();
        visitor.csrf = rest.split('"').next().unwrap().to_owned();
        visitor
    }

    pub(crate) async fn gets(&self, path: &str) -> Response {
        let request = self.http.get(format!("{}{path}", self.url));
        request.header(COOKIE, &self.cookie).send().await.unwrap()
    }

    /// Sends a form of the page.
    pub(crate) async fn posts(&self, action: &str, fields: &[(&str, &str)]) -> Response {
        let fields = [&[("csrf", self.csrf.as_str())], fields].concat();
        let request = self.http.post(format!("{}/actions/{action}", self.url));
        let request = request.header(COOKIE, &self.cookie).form(&fields);
        request
            .header("sec-fetch-site", "same-origin")
            .send()
            .await
            .unwrap()
    }

    /// Sends a form, which must work.
    pub(crate) async fn does(&self, action: &str, fields: &[(&str, &str)]) {
        let response = self.posts(action, fields).await;
        assert_eq!(
            response.status(),
            StatusCode::SEE_OTHER,
            "{:?}",
            response.text().await
        );
    }

    /// What `/api/system` says.
    pub(crate) async fn system(&self) -> Value {
        self.gets("/api/system").await.json().await.unwrap()
    }

    pub(crate) async fn process(&self, name: &str) -> Value {
        let system = self.system().await;
        let mut processes = system["processes"].as_array().unwrap().iter();
        processes.find(|process| process["name"] == name).unwrap().clone()
    }

    pub(crate) async fn waits_for_state(&self, name: &str, state: &str) -> Value {
        self.waits_for(&format!("{name} {state}"), || async {
            Some(self.process(name).await).filter(|process| process["state"] == state)
        })
        .await
    }

    pub(crate) async fn waits_for_number(&self, name: &str, is_it: impl Fn(u64) -> bool) {
        self.waits_for(name, || async {
            is_it(self.system().await["orders"][name].as_u64().unwrap()).then_some(())
        })
        .await;
    }

    pub(crate) async fn waits_for<T, F>(&self, what: &str, condition: impl FnMut() -> F) -> T
    where
        F: Future<Output = Option<T>>,
    {
        eventually(what, TIMEOUT, condition).await
    }

    pub(crate) async fn sql(&self) -> tokio_postgres::Client {
        let (client, connection) = tokio_postgres::connect(&self.database_url, NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// Creates an order with a payment; its id.
    pub(crate) async fn orders(&self) -> String {
        let body = serde_json::json!({ "product_name": "Teapot", "amount": "9.99", "payment_method": "credit_card" });
        let response = self.http.post(format!("{}/api/orders", self.api)).json(&body);
        let order: Value = response.send().await.unwrap().json().await.unwrap();
        order["id"].as_str().unwrap().to_owned()
    }
}

/// The programs of this source, built once by this process.
async fn binaries() -> Binaries {
    static BUILT: OnceCell<Binaries> = OnceCell::const_new();
    let build = || Binaries::build(Profile::Dev);
    BUILT.get_or_try_init(build).await.unwrap().clone()
}

//! The operators' console beside many orders: how long the server takes for each page and
//! each filter, and what open consoles cost while nothing happens.

use std::time::Instant;

use anyhow::{Context, ensure};
use chrono::Utc;
use testkit::{Postgres, Service, Stack};
use tokio::task::JoinSet;
use tokio_postgres::Client;

use crate::environment::{self, Environment};
use crate::mode::Mode;
use crate::servers::Counters;
use crate::size::Size;
use crate::{pages, process, stored};

/// Paths of the pages. `ID` stands for the id of an order, `TRACE` for an id that no trace has, and `HALF`
/// for the time when half of the orders existed.
const PAGES: [(&str, &str); 27] = [
    ("overview, 15 min", "/"),
    ("overview, 24 h", "/?range=24h"),
    ("orders", "/orders"),
    ("oldest orders", "/orders?sort=created_at"),
    ("orders that failed", "/orders?status=failed"),
    ("orders by code", "/orders?failure_code=internal_error"),
    ("orders of a customer", "/orders?customer=customer-7"),
    (
        "orders of one status and customer",
        "/orders?customer=customer-7&status=completed",
    ),
    ("one order", "/orders/ID"),
    ("search by order id", "/search?q=ID"),
    ("search by a trace id", "/search?q=TRACE"),
    ("search by a customer", "/search?q=customer-7"),
    ("failures", "/failures"),
    ("queue", "/queue"),
    ("operations", "/operations"),
    ("orders: pending", "/orders?status=pending"),
    ("orders: processing", "/orders?status=processing"),
    ("orders: completed", "/orders?status=completed"),
    ("orders: oldest failed", "/orders?status=failed&sort=created_at"),
    ("orders: cancelled", "/orders?status=cancelled"),
    ("orders: payment refused", "/orders?payment_status=refused"),
    ("orders: payment pending", "/orders?payment_status=pending"),
    (
        "orders: payment not required",
        "/orders?payment_status=not_required",
    ),
    (
        "orders: oldest of a failure code",
        "/orders?failure_code=internal_error&sort=created_at",
    ),
    (
        "API: oldest of a customer",
        "/api/orders?customer=customer-7&sort=created_at",
    ),
    (
        "API: failed of a customer",
        "/api/orders?customer=customer-7&status=failed",
    ),
    ("orders: before a time", "/orders?created_before=HALF"),
];
const UNKNOWN_TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

pub(crate) async fn run(environment: &Environment, size: Size) -> anyhow::Result<()> {
    let postgres = environment.another_postgres().await?;
    let database = stored::orders(environment, &postgres, size.viewed).await?;
    let sql = database.connect().await?;
    let services = [Service::Api, Service::Worker];
    let consoles = size.consoles.to_string();
    let stack = environment
        .stack(Mode::Off, database.url(), &services, "http://127.0.0.1:9")
        // Without authentication, all consoles are of one operator.
        .env(Service::Api, "EVENT_STREAMS_PER_CUSTOMER", &consoles)
        .start()
        .await?;
    stored::until_counted(&sql).await?;

    let id: String = sql
        .query_one("SELECT max(id::text) FROM orders WHERE status = 'failed'", &[])
        .await?
        .get(0);
    let middle = (Utc::now() - stored::PERIOD / 2)
        .format("%Y-%m-%dT%H:%M:%SZ")
        .to_string();
    let pages = PAGES.map(|(name, path)| {
        let path = path.replace("ID", &id).replace("TRACE", UNKNOWN_TRACE);
        (name, path.replace("HALF", &middle))
    });
    let table = pages::measured(&stack.url(Service::Api), pages, size.page_requests).await?;
    println!("\n{table}\n{} orders, one api and one worker.", size.viewed);

    let idle = cost(environment, &postgres, &sql, &stack, size).await?;
    let open = open_consoles(&stack, size.consoles).await?;
    let viewed = cost(environment, &postgres, &sql, &stack, size).await?;
    ensure!(!open.is_empty(), "every console has lost its connection");
    println!(
        "{} open consoles, nothing happens: {:.1} % of a core in the api (without: {:.1} %), {:.1} % in PostgreSQL ({:.1} %),\n\
         {:.1} % in Redis ({:.1} %).",
        open.len(),
        viewed.api,
        idle.api,
        viewed.postgres,
        idle.postgres,
        viewed.redis,
        idle.redis,
    );
    Ok(())
}

/// Percent of a core.
struct Cost {
    api: f64,
    postgres: f64,
    redis: f64,
}

async fn cost(
    environment: &Environment,
    postgres: &Postgres,
    sql: &Client,
    stack: &Stack,
    size: Size,
) -> anyhow::Result<Cost> {
    let api = environment::pid(stack, Service::Api)?;
    let read = || Counters::read(postgres, sql, &environment.redis);
    let (before, api_before, begun) = (read().await?, process::cpu_time(api)?, Instant::now());
    tokio::time::sleep(size.idle).await;
    let counters = read().await?.since(&before);
    let api = (process::cpu_time(api)? - api_before).as_secs_f64();
    let percent = |seconds: f64| seconds / begun.elapsed().as_secs_f64() * 100.0;
    Ok(Cost {
        api: percent(api),
        postgres: percent(counters.postgres_cpu),
        redis: percent(counters.redis_cpu),
    })
}

/// Each reads the live parts of the overview, as its page does.
async fn open_consoles(stack: &Stack, consoles: usize) -> anyhow::Result<JoinSet<()>> {
    let http = reqwest::Client::new();
    let url = stack.url(Service::Api);
    let page = http.get(&url).send().await?.text().await?;
    let path = page
        .split("data-live=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    let path = path
        .context("the overview has no live parts")?
        .replace("&amp;", "&");
    let mut open = JoinSet::new();
    for _ in 0..consoles {
        let mut response = http
            .get(format!("{url}{path}"))
            .send()
            .await?
            .error_for_status()?;
        open.spawn(async move { while let Ok(Some(_)) = response.chunk().await {} });
    }
    Ok(open)
}

//! The commands of `throughline-api` besides serving.

use std::process::{Command, Output};

use domain::OrderStatus;

use crate::service::Api;
use crate::worker::Worker;

fn run(api: &Api, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_throughline-api"));
    command.env_clear().env("DATABASE_URL", api.database.url());
    command.args(arguments).output().unwrap()
}

/// The exit code and everything printed.
fn outcome(api: &Api, arguments: &[&str]) -> (Option<i32>, String) {
    let output = run(api, arguments);
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

fn failed(message: &str) -> (Option<i32>, String) {
    (Some(1), format!("throughline-api: {message}\n"))
}

fn done(message: &str) -> (Option<i32>, String) {
    (Some(0), format!("{message}\n"))
}

#[tokio::test]
async fn a_wrong_option_is_an_error_that_says_what_is_accepted() {
    let api = Api::start().await;
    let takes = "takes a duration such as 90d, 12h, or a number of seconds";
    let (code, usage) = outcome(&api, &["erase", "--help"]);
    assert!(
        code == Some(0) && usage.starts_with("usage: throughline-api [migrate | "),
        "{usage}"
    );
    for (arguments, message) in [
        (
            &["serve", "now"][..],
            format!("got `serve now`; {}", usage.trim_end()),
        ),
        (&["prune"], format!("--older-than: is required; {takes}")),
        (
            &["prune", "--older-than", "3 months"],
            format!("--older-than: got `3 months`; {takes}"),
        ),
        (
            &["erase", "--customer=ada", "--force"],
            "got `--force`; --help shows the options".to_owned(),
        ),
        (
            &["erase"],
            "--customer: is required; takes a customer's id, as tokens have it in `sub`".to_owned(),
        ),
    ] {
        assert_eq!(outcome(&api, arguments), failed(&message));
    }
}

#[tokio::test]
async fn old_final_orders_are_counted_and_pruned() {
    let api = Api::start().await;
    let (kept, worker) = (api.order().await, Worker::of(&api));
    let pruned = api.order().await;
    let claimed = worker.claim(&pruned).await;
    worker.complete(&claimed).await;
    let prune = ["prune", "--older-than", "0.001"];
    let dry_run = outcome(&api, &["prune", "--dry-run", "--older-than", "0.001"]);
    assert_eq!(dry_run, done("would prune 1 orders that were final for 0.001"));
    assert_eq!(
        outcome(&api, &prune),
        done("pruned 1 orders that were final for 0.001")
    );
    assert_eq!(
        outcome(&api, &prune),
        done("pruned 0 orders that were final for 0.001")
    );
    assert_eq!(api.get(&format!("/api/orders/{pruned}")).await.status, 404);
    assert_eq!(api.get(&format!("/api/orders/{kept}")).await.status, 200);
}

#[tokio::test]
async fn a_customer_is_erased_once_no_order_is_in_flight() {
    let api = Api::start().await;
    let (first, second) = (api.order().await, api.order().await);
    let claimed = Worker::of(&api).claim(&first).await;
    let erase = ["erase", "--customer", "anonymous"];
    let refused = "2 orders are in flight, nothing is erased; --wait waits until they are final, \
        --cancel cancels those that no worker has claimed and waits for the others";
    assert_eq!(outcome(&api, &erase), failed(refused));

    Worker::of(&api).complete(&claimed).await;
    let (code, text) = outcome(&api, &["erase", "--customer", "anonymous", "--cancel"]);
    assert_eq!(code, Some(0), "{text}");
    let expected =
        "cancelled 1 orders\nerased 2 orders, deleted 0 idempotency keys\nthe orders belong to erased-";
    assert!(text.starts_with(expected), "{text}");
    for (id, status) in [(first, OrderStatus::Completed), (second, OrderStatus::Cancelled)] {
        assert_eq!(api.get(&format!("/api/orders/{id}")).await.status, 404);
        let order = api
            .store()
            .find(id.parse().unwrap(), None)
            .await
            .unwrap()
            .unwrap();
        assert_eq!((order.status, &*order.items[0].product_name), (status, "erased"));
    }
    let again = outcome(&api, &erase);
    assert_eq!(again, done("erased 0 orders, deleted 0 idempotency keys"));
}

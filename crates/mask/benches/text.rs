//! What masking costs: `cargo bench -p throughline-mask`.

use divan::{AllocProfiler, Bencher, black_box};
use throughline_mask as mask;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// The text attributes of the spans and log records of one `POST /api/orders`.
const ATTRIBUTES: &[(&str, &str)] = &[
    ("http.request.method", "POST"),
    ("url.scheme", "http"),
    ("url.path", "/api/orders"),
    ("http.route", "/api/orders"),
    ("network.protocol.name", "http"),
    ("network.protocol.version", "1.1"),
    ("server.address", "127.0.0.1"),
    ("client.address", "127.0.0.1"),
    ("network.peer.address", "127.0.0.1"),
    ("user_agent.original", FIREFOX),
    ("db.system.name", "postgresql"),
    ("db.operation.name", "INSERT"),
    ("db.collection.name", "orders"),
    ("db.namespace", "throughline"),
    ("db.query.summary", "INSERT orders"),
    ("db.query.text", STATEMENT),
    ("server.address", "localhost"),
    ("messaging.system", "redis"),
    ("messaging.operation.name", "send"),
    ("messaging.operation.type", "send"),
    ("messaging.destination.name", "orders"),
    ("messaging.message.id", UUID),
    ("order.id", UUID),
    ("order.status", "pending"),
    ("code.file.path", "crates/api/src/orders/create.rs"),
    ("code.module.name", "throughline_api::orders::create"),
    ("thread.name", "actix-rt|system:0|arbiter:1"),
];
const UUID: &str = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b";
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const STATEMENT: &str =
    r#"INSERT INTO "orders" ("id", "customer", "amount") VALUES ($1, $2, $3) ON CONFLICT ("id") DO NOTHING"#;

const CLEAN: &[&str] = &[
    "POST",
    UUID,
    "/api/orders",
    FIREFOX,
    STATEMENT,
    "2026-01-02T03:04:05.123456Z",
];
const DIRTY: &[&str] = &[
    "mail to joe@example.com failed",
    "card 4111 1111 1111 1111 was declined",
    "password=hunter2, user=joe",
    "Authorization: Bearer abc.def.ghi",
    "call +1 (415) 555-2671",
    "postgres://app:secret@db:5432/shop",
];

/// What a caller can repeat in a path or a header to make masking slow.
const HOSTILE: &[&str] = &["/@@@", "a@", "%40", "eyJ-", "secret=)))", "4111 ", "aaaa"];

#[divan::bench]
fn attributes_of_a_request() {
    for (name, value) in ATTRIBUTES {
        black_box(mask::field(black_box(name), black_box(value), usize::MAX));
    }
}

#[divan::bench(args = HOSTILE)]
fn hostile_64_kib(bencher: Bencher<'_, '_>, part: &str) {
    let text = part.repeat((64 << 10) / part.len());
    bencher.bench(|| mask::text(black_box(&text)));
}

#[divan::bench(args = CLEAN)]
fn clean(text: &str) {
    black_box(mask::text(black_box(text)));
}

#[divan::bench(args = DIRTY)]
fn dirty(text: &str) {
    black_box(mask::text(black_box(text)));
}

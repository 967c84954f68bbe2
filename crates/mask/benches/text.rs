//! What masking costs: `cargo bench -p throughline-mask`.

use divan::{AllocProfiler, Bencher, black_box};
use throughline_mask as mask;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// Texts as spans and records of this project carry them.
const CLEAN: &[&str] = &[
    "POST",
    "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b",
    "/api/orders",
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    r#"INSERT INTO "orders" ("id", "customer", "amount") VALUES ($1, $2, $3) ON CONFLICT ("id") DO NOTHING"#,
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

/// What a caller may repeat in a path or a header to make masking slow.
const HOSTILE: &[&str] = &["/@@@", "a@", "%40", "eyJ-", "secret=)))", "4111 ", "aaaa"];

#[divan::bench(args = HOSTILE)]
fn mask_64_kib_of(bencher: Bencher<'_, '_>, part: &str) {
    let text = part.repeat((64 << 10) / part.len());
    bencher.bench(|| mask::text(black_box(&text)));
}

#[divan::bench(args = CLEAN)]
fn mask_clean(bencher: Bencher<'_, '_>, text: &str) {
    bencher.bench(|| mask::text(black_box(text)));
}

#[divan::bench(args = DIRTY)]
fn mask_dirty(bencher: Bencher<'_, '_>, text: &str) {
    bencher.bench(|| mask::text(black_box(text)));
}

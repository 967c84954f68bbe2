//! Every benchmark runs to its end. The figures are not checked.

use testkit::{Binaries, Profile};
use throughline_bench::{Benchmark, Size};

#[tokio::test]
async fn every_benchmark_runs() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let binaries = Binaries::build(Profile::Dev).await.unwrap();
    throughline_bench::run(&Benchmark::ALL, Size::SHORT, true, &binaries)
        .await
        .unwrap();
}

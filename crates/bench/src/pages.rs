//! The server time of pages: from the request to the last byte, over loopback.

use std::time::Instant;

use anyhow::ensure;
use reqwest::Client;
use reqwest::redirect::Policy;

use crate::stats::{median, quantile};
use crate::table::Table;

/// A row for each page of the server, which is its name and path; requested so often.
pub(crate) async fn measured(
    server: &str,
    pages: impl IntoIterator<Item = (&'static str, String)>,
    times: usize,
) -> anyhow::Result<Table> {
    let http = Client::builder().redirect(Policy::none()).build()?;
    let mut table = Table::new(&["page", "p50", "p99", "max", "size"]);
    for (name, path) in pages {
        let (durations, bytes) = requests(&http, &format!("{server}{path}"), times).await?;
        let cell = |per_mille| format!("{:.1} ms", quantile(&durations, per_mille));
        table.row([
            name.to_owned(),
            format!("{:.1} ms", median(&durations)),
            cell(990),
            cell(1000),
            format!("{:.0} KB", f64::from(u32::try_from(bytes)?) / 1e3),
        ]);
    }
    Ok(table)
}

/// Milliseconds of each request, and the size of the last response.
async fn requests(http: &Client, url: &str, times: usize) -> anyhow::Result<(Vec<f64>, usize)> {
    let mut durations = Vec::new();
    let mut bytes = 0;
    for _ in 0..times {
        let begun = Instant::now();
        let response = http.get(url).send().await?;
        ensure!(
            response.status().is_success() || response.status().is_redirection(),
            "{url}: {}",
            response.status()
        );
        bytes = response.bytes().await?.len();
        durations.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    Ok((durations, bytes))
}

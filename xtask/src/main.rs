//! `cargo xtask`: the project's commands. Each is a module with the command's arguments and one `run`.

mod api;
mod bench;
mod chaos;
mod chart;
mod dashboards;
mod down;
mod drill;
mod found;
mod fuzz_api;
mod generated;
mod local;
mod migrate;
mod order;
mod package;
mod recorded_process;
mod registry;
mod screenshots;
mod siege;
mod signals;
mod state;
mod telemetry_check;
mod test;
mod token;
mod top;
mod trace;
mod up;
mod watch;

use std::process::ExitCode;

use clap::Parser;

/// Throughline's commands.
#[derive(Parser)]
#[command(bin_name = "cargo xtask", disable_help_subcommand = true)]
enum Command {
    Up(up::Up),
    Down(down::Down),
    Test(test::Test),
    Package(package::Package),
    Order(order::Order),
    Trace(trace::Trace),
    Traces(found::Traces),
    Logs(found::Logs),
    Migrate(migrate::Migrate),
    Token(token::Token),
    Top(top::Top),
    FuzzApi(fuzz_api::FuzzApi),
    TelemetryCheck(telemetry_check::TelemetryCheck),
    Bench(bench::Bench),
    Chaos(chaos::Run),
    Drill(drill::Run),
    Siege(siege::Run),
    Screenshots(screenshots::Screenshots),
    Dashboards(dashboards::Dashboards),
    Chart(chart::Chart),
    Registry(registry::Registry),
}

#[tokio::main]
async fn main() -> ExitCode {
    // The first provider stays; nothing installs another.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let done = match Command::parse() {
        Command::Up(up) => up.run().await,
        Command::Down(down) => down.run().await,
        Command::Test(test) => test.run().await,
        Command::Package(package) => package.run().await,
        Command::Order(order) => order.run().await,
        Command::Trace(trace) => trace.run().await,
        Command::Traces(traces) => traces.run().await,
        Command::Logs(logs) => logs.run().await,
        Command::Migrate(migrate) => migrate.run().await,
        Command::Token(token) => token.run(),
        Command::Top(top) => top.run().await,
        Command::FuzzApi(fuzz) => fuzz.run().await,
        Command::TelemetryCheck(check) => check.run().await,
        Command::Bench(bench) => bench.run().await,
        Command::Chaos(chaos) => chaos.run().await,
        Command::Drill(drill) => drill.run().await,
        Command::Siege(siege) => siege.run().await,
        Command::Screenshots(screenshots) => screenshots.run().await,
        Command::Dashboards(dashboards) => dashboards.run(),
        Command::Chart(chart) => chart.run(),
        Command::Registry(registry) => registry.run(),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

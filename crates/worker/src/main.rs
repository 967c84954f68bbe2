//! throughline-worker: processes and charges orders, and dispatches again what fell due.

fn main() -> std::process::ExitCode {
    throughline_worker::program::run()
}

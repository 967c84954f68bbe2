//! throughline-worker: processes and charges orders, and dispatches due orders again.

fn main() -> std::process::ExitCode {
    throughline_worker::program::run()
}

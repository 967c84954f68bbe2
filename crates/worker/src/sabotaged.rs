//! throughline-worker without the mechanism of reliability that SABOTAGE names: chaos must find the damage.
//! Never deployed.

fn main() -> std::process::ExitCode {
    throughline_worker::program::run()
}

//! throughline-worker without one of the things that its reliability rests on, by SABOTAGE: chaos has to find it. Never deployed.

fn main() -> std::process::ExitCode {
    throughline_worker::program::run()
}

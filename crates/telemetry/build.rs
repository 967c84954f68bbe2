//! Notes which compiler builds the program, for the resource attribute `process.runtime.version`.

fn main() {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = std::process::Command::new(rustc).arg("--version").output();
    let version = version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let number = version.as_deref().ok().and_then(|text| text.split(' ').nth(1));
    println!("cargo::rustc-env=RUSTC_VERSION={}", number.unwrap_or("unknown"));
    println!("cargo::rerun-if-changed=build.rs");
}

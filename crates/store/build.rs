//! Rebuilds the crate after a change of the migrations, which no Rust file names.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}

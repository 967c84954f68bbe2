//! A new migration has to be embedded, though no Rust file names it.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}

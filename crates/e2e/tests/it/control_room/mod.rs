//! The control room in a real browser: what a newcomer does who has run `cargo xtask up`.

mod page;
mod screenshots;
mod stack;
mod walk;

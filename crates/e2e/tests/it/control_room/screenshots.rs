//! The picture of README. `cargo xtask screenshots` runs this.

use super::stack::LocalStack;
use crate::operator::DESK;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "cargo xtask screenshots runs it"]
async fn the_picture_of_the_walk() {
    let stack = LocalStack::up().await;
    let person = stack.visitor().await;
    person.clicks("Guided walk: kill a worker in mid-charge").await;
    person.clicks("1. Create orders").await;
    person.sees("In mid-charge at this moment: worker").await;
    person.clicks("2. Kill a worker in mid-charge").await;
    person.sees("The order survived, charged once.").await;
    person.pictures("system", DESK, "/").await;
    person.leaves().await;
    stack.down().await;
}

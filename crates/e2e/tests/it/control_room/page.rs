//! What holds for the page at all times: themes, a phone, untrusted output, refusals.

use std::io::Write;

use super::stack::LocalStack;
use crate::operator::{DESK, DESK_AT_NIGHT, Operator, PHONE};

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_accessible_in_each_state_and_runs_no_script_that_a_process_prints() {
    let stack = LocalStack::up().await;
    let person = stack.visitor().await;
    let mut obstacles = looks(&person).await;
    person.clicks("Guided walk: kill a worker in mid-charge").await;
    person.sees("step 1 of 3").await;
    person.clicks("PostgreSQL: lock orders for 5 s").await;
    person.clicks("gateway: 20 % errors").await;
    person.sees("responds to 20 % with 500").await;
    person.clicks("Pause worker 1").await;
    person.sees("paused by you").await;
    person.clicks("Stop worker 2").await;
    person.sees("stopped by you").await;
    let mut log = std::fs::OpenOptions::new()
        .append(true)
        .open(&stack.worker_log)
        .unwrap();
    writeln!(
        log,
        "ERROR <img src=x onerror='document.title=\"canary\"'></pre><script>canary()</script>"
    )
    .unwrap();
    person.sees("<img src=x onerror=").await;
    assert_eq!(person.runs("return document.title").await, "System · lens");
    obstacles.extend(looks(&person).await);
    person.clicks("Continue worker 1").await;
    person.sees("6 running").await;
    assert!(obstacles.is_empty(), "{}", obstacles.join("\n"));
    person.leaves().await;
    stack.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_said_in_place_and_output_is_filtered_by_a_link() {
    let stack = LocalStack::up().await;
    let mut person = stack.visitor().await;
    nothing_jumps(&person).await;
    person.expects("status of 409");
    // At once: the page replaces the row when something in it changes.
    let start = "const stop = document.querySelector('tr[data-part=redis] button[value=stop]');
        stop.value = 'start';
        stop.click();";
    person.runs(start).await;
    person.sees("Redis runs already").await;
    person.clicks_at("//*[@id='output']//a[.='gateway']").await;
    person.is_at("/?of=gateway").await;
    person.sees("the payment sandbox listens on").await;
    person.sees_no("processing orders").await;
    person.goes_back().await;
    person.sees("processing orders").await;
    person.leaves().await;
    stack.down().await;
}

/// Without the cookie of the run.
#[tokio::test(flavor = "multi_thread")]
async fn a_browser_without_the_token_is_told_where_it_is() {
    let stack = LocalStack::up().await;
    let mut stranger = stack.stranger().await;
    stranger.expects("status of 401");
    stranger.opens("/").await;
    stranger
        .sees("Open the address that `cargo xtask up` printed")
        .await;
    stranger.leaves().await;
    stack.down().await;
}

/// Obstacles in both themes and on a phone.
async fn looks(person: &Operator) -> Vec<String> {
    let mut obstacles = Vec::new();
    for screen in [DESK_AT_NIGHT, PHONE, DESK] {
        person.uses(screen).await;
        obstacles.extend(person.finds_obstacles().await);
    }
    obstacles
}

/// A part that changes stays where it was scrolled to, and the output at its last line.
async fn nothing_jumps(person: &Operator) {
    const SCROLL: &str = "const part = document.getElementById('processes');
        part.dataset.before = '';
        part.querySelector('.scroll').scrollLeft = 40";
    const SCROLLED: &str = "const part = document.getElementById('processes');
        return 'before' in part.dataset ? null : part.querySelector('.scroll').scrollLeft";
    const LAST_LINE: &str = "const output = document.querySelector('.output');
        const bottom = one => one.getBoundingClientRect().bottom;
        return output.scrollHeight > output.clientHeight ? bottom(output.firstElementChild) - bottom(output) : null";
    person.uses(PHONE).await;
    person.runs(SCROLL).await;
    assert_eq!(person.finds("newer numbers", SCROLLED).await, 40);
    let below = person.finds("more output than fits", LAST_LINE).await;
    assert!(below.as_f64().unwrap() <= 1.0, "the last line is {below} below");
    person.uses(DESK).await;
}

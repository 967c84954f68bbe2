use std::sync::Mutex as StdMutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, yield_now};

use super::*;

const LIMITS: Limits = Limits {
    batch_size: 4,
    waiting: 6,
    stall_timeout: Duration::from_secs(2),
};

/// A batch with this item panics.
const PANICKING: u32 = 99;
/// A batch leaves out the output of this item.
const UNANSWERED: u32 = 98;

/// Records the batches. Each batch takes a permit first.
#[derive(Clone)]
struct Recording {
    batches: Arc<StdMutex<Vec<Vec<u32>>>>,
    permits: Arc<Semaphore>,
}

impl Recording {
    fn new(permits: usize) -> Self {
        Self {
            batches: Arc::default(),
            permits: Arc::new(Semaphore::new(permits)),
        }
    }

    fn batches(&self) -> Vec<Vec<u32>> {
        self.batches.lock().unwrap().clone()
    }
}

impl Lane for Recording {
    type Item = u32;
    type Output = u32;

    async fn run(&mut self, items: Vec<u32>) -> Vec<u32> {
        self.batches.lock().unwrap().push(items.clone());
        self.permits.acquire().await.unwrap().forget();
        assert!(!items.contains(&PANICKING), "this item panics");
        let answered = items.iter().filter(|item| **item != UNANSWERED);
        answered.map(|item| item * 2).collect()
    }
}

fn spawn_calls(
    batcher: &Batcher<u32, u32>,
    items: impl IntoIterator<Item = u32>,
) -> JoinSet<(u32, Result<u32, Error>)> {
    let mut calls = JoinSet::new();
    for item in items {
        let batcher = batcher.clone();
        calls.spawn(async move { (item, batcher.call(item).await) });
    }
    calls
}

/// Lets every other task run until it waits.
async fn settle() {
    for _ in 0..20 {
        yield_now().await;
    }
}

#[tokio::test]
async fn calls_that_arrive_during_a_batch_share_the_next() {
    let lane = Recording::new(0);
    let batcher = Batcher::start([lane.clone()], LIMITS);
    let first = spawn_calls(&batcher, [1]);
    settle().await;
    let others = spawn_calls(&batcher, 2..=6);
    settle().await;
    lane.permits.add_permits(3);
    for (item, output) in [first.join_all().await, others.join_all().await].concat() {
        assert_eq!(output, Ok(item * 2));
    }
    assert_eq!(lane.batches(), [vec![1], vec![2, 3, 4, 5], vec![6]]);
}

/// Each call is made by a task whose socket is ready once the task before has made its call.
#[tokio::test]
async fn a_batch_waits_for_the_tasks_whose_sockets_are_ready() {
    let lane = Recording::new(4);
    let batcher = Batcher::start([lane.clone()], LIMITS);
    let (mut first, mut before) = UnixStream::pair().unwrap();
    let mut calls = JoinSet::new();
    for item in 0..4 {
        let (mut next, after) = UnixStream::pair().unwrap();
        let batcher = batcher.clone();
        calls.spawn(async move {
            before.read_u8().await.unwrap();
            next.write_u8(0).await.unwrap();
            (item, batcher.call(item).await)
        });
        before = after;
    }
    first.write_u8(0).await.unwrap();
    calls.join_all().await;
    assert_eq!(lane.batches(), [[0, 1, 2, 3]]);
}

#[tokio::test]
async fn a_call_that_was_given_up_is_in_no_batch() {
    let lane = Recording::new(0);
    let batcher = Batcher::start([lane.clone()], LIMITS);
    let first = spawn_calls(&batcher, [1]);
    settle().await;
    let mut given_up = spawn_calls(&batcher, [2]);
    settle().await;
    given_up.shutdown().await;
    lane.permits.add_permits(2);
    first.join_all().await;
    assert_eq!(batcher.call(3).await, Ok(6));
    assert_eq!(lane.batches(), [[1], [3]]);
}

#[tokio::test(start_paused = true)]
async fn calls_beyond_the_limit_and_behind_a_stalled_batch_are_refused() {
    let lane = Recording::new(0);
    let batcher = Batcher::start([lane.clone()], LIMITS);
    let stalled = spawn_calls(&batcher, [1]);
    settle().await;
    let waiting = spawn_calls(&batcher, 2..=7);
    settle().await;
    assert_eq!(batcher.call(8).await, Err(Error::Busy));
    for (_, output) in waiting.join_all().await {
        assert_eq!(output, Err(Error::Busy));
    }
    lane.permits.add_permits(1);
    assert_eq!(stalled.join_all().await, [(1, Ok(2))]);
    assert_eq!(lane.batches(), [[1]]);
}

#[tokio::test(start_paused = true)]
async fn another_lane_takes_the_calls_behind_a_stalled_batch() {
    let (stalled, free) = (Recording::new(0), Recording::new(2));
    let batcher = Batcher::start([stalled.clone(), free.clone()], LIMITS);
    let first = spawn_calls(&batcher, [1]);
    settle().await;
    assert_eq!(stalled.batches(), [[1]]);
    assert_eq!(batcher.call(2).await, Ok(4));
    stalled.permits.add_permits(1);
    first.join_all().await;
}

#[tokio::test]
async fn a_panic_loses_its_batch_only() {
    let lane = Recording::new(9);
    let batcher = Batcher::start([lane], LIMITS);
    assert_eq!(batcher.call(PANICKING).await, Err(Error::Lost));
    assert_eq!(batcher.call(1).await, Ok(2));
}

#[tokio::test]
async fn a_missing_output_loses_its_call_only() {
    let batcher = Batcher::start([Recording::new(9)], LIMITS);
    assert_eq!(batcher.call(UNANSWERED).await, Err(Error::Lost));
    assert_eq!(batcher.call(1).await, Ok(2));
}

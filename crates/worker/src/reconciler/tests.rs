//! Due orders are dispatched, whatever Redis lost.

use std::convert::Infallible;

use dispatch::DispatchError;
use domain::{CustomerId, NewOrder, Order, OrderDraft, TraceContext};
use fastrand::Rng;
use queue::{Delivery, QueueConfig, WorkOptions};
use store::{Claim, StoreConfig};
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tower::service_fn;

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

/// A reconciler with an empty database and its own queue.
struct Shop {
    reconciler: Reconciler,
    sql: tokio_postgres::Client,
    database: testkit::Database,
}

impl Shop {
    async fn open() -> Self {
        let database = testkit::database().await.unwrap();
        store::migrate(database.url()).await.unwrap();
        let redis = testkit::redis().await.unwrap();
        // A unique name.
        let config = QueueConfig::new(redis.url(), OrderId::generate().to_string());
        let queue = Queue::connect(config).await.unwrap();
        Self {
            sql: database.connect().await.unwrap(),
            reconciler: Reconciler {
                store: Store::new(StoreConfig::new(database.url(), "worker-test")).unwrap(),
                publisher: Publisher::start(&queue),
                dispatcher: Dispatcher::new(queue),
                health: ReconcilerHealth::default(),
                is_leader: IsLeader::default(),
                pause: Pause::default(),
            },
            database,
        }
    }

    /// Polls as another worker does.
    async fn poll(&self) -> Result<Next, ReconcileError> {
        self.reconciler.poll(&mut State::default()).await
    }

    /// An order that is due in a minute.
    async fn order(&self) -> Order {
        let draft = r#"{"product_name":"Widget","amount":"10"}"#;
        let draft: OrderDraft = serde_json::from_str(draft).unwrap();
        let new: NewOrder = draft.validate().unwrap();
        let (id, customer) = (OrderId::generate(), CustomerId::anonymous());
        let order = Order::new(id, customer, new, TraceContext::default());
        self.reconciler.store.create(order, MINUTE).await.unwrap()
    }

    async fn make_all_due(&self) {
        let due =
            "UPDATE orders SET dispatch_after = now() - interval '1 s' WHERE dispatch_after IS NOT NULL";
        self.sql.execute(due, &[]).await.unwrap();
    }

    async fn depth(&self) -> u64 {
        self.reconciler.queue().stats().await.unwrap().depth
    }

    /// Seconds until the order is due.
    async fn due_in(&self, id: OrderId) -> f64 {
        let query = "SELECT extract(epoch FROM dispatch_after - now())::float8 FROM orders WHERE id =";
        let query = format!("{query} '{id}'");
        let row = self.sql.query_one(&query, &[]).await.unwrap();
        row.get(0)
    }

    fn key(&self, part: &str) -> String {
        format!("{}:{part}", self.reconciler.queue().name())
    }

    async fn redis(&self, command: &str, arguments: &[String]) {
        let mut command = redis::cmd(command);
        command.arg(arguments);
        let mut connection = self.reconciler.queue().connection();
        command.exec_async(&mut connection).await.unwrap();
    }
}

/// This version cannot read the job of a newer one, and drops it.
#[tokio::test]
async fn the_order_of_a_job_of_another_version_is_dispatched_again() {
    let shop = Shop::open().await;
    let job = shop.order().await.next_job();
    let enqueued = shop.reconciler.dispatcher.dispatch(job.clone()).await;
    enqueued.unwrap();
    let newer = r#"{"orders":["of a newer version"]}"#.to_owned();
    shop.redis("HSET", &[shop.key("data"), job.job_id(), newer]).await;
    let (sender, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let service = service_fn(move |delivery: Delivery<ProcessOrder>| {
        let _ = sender.send(delivery.id);
        std::future::ready(Ok::<(), Infallible>(()))
    });
    let queue = shop.reconciler.queue().clone();
    let worker = tokio::spawn(async move {
        let _ = queue
            .work(WorkOptions::default(), service, CancellationToken::new())
            .await;
    });
    testkit::eventually("the job to be dropped", MINUTE, async || {
        let stats = shop.reconciler.queue().stats().await.unwrap();
        (stats.depth + stats.in_flight == 0).then_some(())
    })
    .await;
    shop.make_all_due().await;
    shop.poll().await.unwrap();
    assert_eq!(seen.recv().await, Some(job.job_id()));
    worker.abort();
}

/// Redis has the jobs that were enqueued after it lost its data: they are not dispatched again.
#[tokio::test]
async fn after_a_loss_an_order_whose_job_was_enqueued_since_stays_as_it_is() {
    let shop = Shop::open().await;
    let (before, after) = (shop.order().await, shop.order().await);
    let minute_later = format!(
        "UPDATE orders SET created_at = created_at + interval '1 min' WHERE id = '{}'",
        after.id
    );
    shop.sql.execute(&minute_later, &[]).await.unwrap();
    shop.reconciler
        .dispatcher
        .dispatch(after.next_job())
        .await
        .unwrap();

    shop.poll().await.unwrap();
    assert_eq!(shop.depth().await, 2);
    // The one that was dispatched again has a new time.
    assert!(shop.due_in(before.id).await < 31.0);
    assert!(shop.due_in(after.id).await > 31.0);
}

/// The order is due in a minute; only the recovery makes it due at once. The worker that detected the
/// loss could not reach PostgreSQL.
#[tokio::test]
async fn a_loss_from_which_a_worker_did_not_recover_is_recovered_by_the_next_worker() {
    let shop = Shop::open().await;
    shop.order().await;
    let rename = async |from: &str, to: &str| {
        let rename = format!("ALTER TABLE {from} RENAME TO {to}");
        shop.sql.batch_execute(&rename).await.unwrap();
    };
    rename("orders", "orders_hidden").await;
    assert!(shop.poll().await.is_err());
    rename("orders_hidden", "orders").await;

    // The loss is reported to one worker at a time. Deleting the key skips the wait until it is reported
    // again.
    shop.poll().await.unwrap();
    assert_eq!(shop.depth().await, 0);
    shop.redis("DEL", &[shop.key("epoch:told")]).await;
    shop.poll().await.unwrap();
    assert_eq!(shop.depth().await, 1);
}

#[tokio::test]
async fn a_worker_that_detected_a_loss_retries_until_postgresql_knows_it() {
    let shop = Shop::open().await;
    shop.order().await;
    let mut state = State::default();
    let hide = "ALTER TABLE orders RENAME TO orders_hidden";
    shop.sql.batch_execute(hide).await.unwrap();
    assert!(shop.reconciler.poll(&mut state).await.is_err());
    let restore = "ALTER TABLE orders_hidden RENAME TO orders";
    shop.sql.batch_execute(restore).await.unwrap();
    shop.reconciler.poll(&mut state).await.unwrap();
    assert_eq!(shop.depth().await, 1);
}

#[tokio::test]
async fn at_the_maximum_queue_depth_only_attempted_orders_are_dispatched() {
    let shop = Shop::open().await;
    shop.poll().await.unwrap();
    let (new, crashed) = (shop.order().await, shop.order().await);
    let (job, trace) = (crashed.next_job(), TraceContext::default());
    let claim = shop
        .reconciler
        .store
        .claim(&job, Claim::of(&job), "worker-1", &trace, MINUTE);
    let claim = claim.await;
    assert!(claim.unwrap().is_some());
    shop.make_all_due().await;
    let others = (0..MAX_DEPTH_FOR_NEW_ORDERS).map(|n| format!("other-{n}"));
    let others: Vec<String> = std::iter::once(shop.key("active")).chain(others).collect();
    shop.redis("RPUSH", &others).await;

    shop.poll().await.unwrap();
    assert_eq!(shop.depth().await, MAX_DEPTH_FOR_NEW_ORDERS + 1);
    assert!(shop.due_in(new.id).await < 0.0, "dispatched");
    assert!(shop.due_in(crashed.id).await > 0.0, "not dispatched");

    shop.redis("DEL", &others[..1]).await;
    shop.poll().await.unwrap();
    assert_eq!(shop.depth().await, 1);
    assert!(shop.due_in(new.id).await > 0.0, "not dispatched");
}

/// Else the oldest orders of an overload would wait until it ends.
#[tokio::test]
async fn while_older_orders_wait_in_postgresql_a_new_one_is_not_dispatched_past_them() {
    let shop = Shop::open().await;
    shop.poll().await.unwrap();
    let refused = shop.order().await;
    let fillers = (0..MAX_DEPTH_FOR_NEW_ORDERS).map(|n| format!("other-{n}"));
    let fillers: Vec<String> = std::iter::once(shop.key("active")).chain(fillers).collect();
    shop.redis("RPUSH", &fillers).await;
    let dispatch = async || {
        let job = shop.order().await.next_job();
        shop.reconciler.dispatcher.dispatch(job).await
    };
    // A deep queue alone is no reason: nothing older waits elsewhere.
    shop.poll().await.unwrap();
    assert_eq!(dispatch().await.unwrap(), Enqueued::New);

    let due = "UPDATE orders SET dispatch_after = now() - interval '5 s' WHERE id =";
    let due = format!("{due} '{}'", refused.id);
    shop.sql.batch_execute(&due).await.unwrap();
    shop.poll().await.unwrap();
    assert!(matches!(dispatch().await, Err(DispatchError::Full)));

    // Once there is room, the older one goes first.
    shop.redis("DEL", &fillers[..1]).await;
    shop.poll().await.unwrap();
    assert_eq!(shop.depth().await, 1);
    assert!(shop.due_in(refused.id).await > 0.0, "not dispatched");
    assert_eq!(dispatch().await.unwrap(), Enqueued::New);
}

#[tokio::test]
async fn a_wrong_entry_that_older_orders_wait_is_removed() {
    let shop = Shop::open().await;
    shop.redis("SET", &[shop.key("older"), "x".to_owned()]).await;
    shop.poll().await.unwrap();
    let job = shop.order().await.next_job();
    let dispatched = shop.reconciler.dispatcher.dispatch(job).await;
    assert_eq!(dispatched.unwrap(), Enqueued::New);
}

#[tokio::test]
async fn an_order_whose_job_waits_is_not_dispatched_again() {
    let shop = Shop::open().await;
    shop.poll().await.unwrap();
    let (waits, lost) = (shop.order().await, shop.order().await);
    let job = waits.next_job();
    let enqueued = shop.reconciler.queue().enqueue(&job.job_id(), &job).await;
    assert_eq!(enqueued.unwrap(), Enqueued::New);
    shop.make_all_due().await;
    let due = shop.reconciler.store.take_due(10).await.unwrap();
    let due: Vec<Due> = due
        .into_iter()
        .map(|order| (order.reason, order.into_job()))
        .collect();
    assert_eq!(due.len(), 2);
    let sent = shop.reconciler.without_job(due).await;
    let sent: Vec<OrderId> = sent.iter().map(|(_, job)| job.order_id).collect();
    assert_eq!(sent, [lost.id]);
}

#[tokio::test]
async fn more_due_orders_than_a_batch_are_all_dispatched_once() {
    let shop = Shop::open().await;
    shop.poll().await.unwrap();
    let many = "INSERT INTO orders \
        (id, amount, dispatch_after, customer, currency, payment_status, items) \
        SELECT gen_random_uuid(), 1, now(), 'ada', 'USD', 'not_required', '[]' \
        FROM generate_series(1, 1050)";
    shop.sql.execute(many, &[]).await.unwrap();
    let mut polls = 1;
    while shop.poll().await.unwrap() == Next::AtOnce {
        polls += 1;
    }
    assert_eq!((polls, shop.depth().await), (6, 1050));
}

/// Each case enqueues orders, kills a worker that holds some, damages Redis, and then lets the clock run. The
/// damage of one case stays for the next.
#[tokio::test(flavor = "multi_thread")]
async fn no_loss_and_no_wrong_entry_in_redis_strands_an_order() {
    const CASES: u64 = 16;
    let shop = Shop::open().await;
    shop.poll().await.unwrap();
    for seed in 0..CASES {
        let mut rng = Rng::with_seed(seed);
        let mut orders = Vec::new();
        for _ in 0..8 {
            let order = shop.order().await;
            let dispatched = shop.reconciler.dispatcher.dispatch(order.next_job()).await;
            assert_eq!(dispatched.unwrap(), Enqueued::New);
            orders.push(order);
        }
        let held_by = shop.kill_a_busy_worker().await;
        let mut damage = Vec::new();
        for _ in 0..rng.usize(1..=5) {
            damage.push(shop.damage(&mut rng, &orders, &held_by).await);
        }
        let (shutdown, worker) = shop.start_worker();
        let mut rounds = 0;
        while shop.unfinished().await > 0 {
            assert!(rounds < 20, "seed {seed}: stranded after {damage:?}");
            rounds += 1;
            shop.let_time_pass(&orders, &held_by).await;
            while let Ok(Next::AtOnce) = shop.poll().await {}
            let mut polls = 0;
            while shop.unfinished().await > 0 && polls < 20 {
                sleep(Duration::from_millis(50)).await;
                polls += 1;
            }
        }
        shutdown.cancel();
        worker.await.unwrap();
    }
}

impl Shop {
    /// A worker that processes every order at once.
    fn start_worker(&self) -> (CancellationToken, JoinHandle<()>) {
        let store = self.reconciler.store.clone();
        let service = service_fn(move |delivery: Delivery<ProcessOrder>| {
            let store = store.clone();
            async move {
                let (claim, trace) = (Claim::of(&delivery.job), TraceContext::default());
                let claimed = store
                    .claim(&delivery.job, claim, "worker-1", &trace, MINUTE)
                    .await;
                if claimed.unwrap().is_some() {
                    store.complete(claim, None).await.unwrap();
                }
                Ok::<(), Infallible>(())
            }
        });
        let (queue, shutdown) = (self.reconciler.queue().clone(), CancellationToken::new());
        let token = shutdown.clone();
        let worker = tokio::spawn(async move {
            queue.work(WorkOptions::default(), service, token).await.unwrap();
        });
        (shutdown, worker)
    }

    /// A worker that dies with four jobs: two whose orders it claimed, one that it started, one that it
    /// fetched. Returns its name.
    async fn kill_a_busy_worker(&self) -> String {
        let store = self.reconciler.store.clone();
        let (started, mut seen) = tokio::sync::mpsc::unbounded_channel();
        let service = service_fn(move |delivery: Delivery<ProcessOrder>| {
            let (store, started) = (store.clone(), started.clone());
            async move {
                let (claim, trace) = (Claim::of(&delivery.job), TraceContext::default());
                if delivery.job.order_id.as_uuid().as_u128().is_multiple_of(2) {
                    store
                        .claim(&delivery.job, claim, "worker-1", &trace, MINUTE)
                        .await
                        .unwrap();
                }
                let _ = started.send(delivery.worker.to_string());
                std::future::pending::<Result<(), Infallible>>().await
            }
        });
        let queue = self.reconciler.queue().clone();
        let options = WorkOptions {
            concurrency: 3,
            ..WorkOptions::default()
        };
        let worker = tokio::spawn(async move {
            let _ = queue.work(options, service, CancellationToken::new()).await;
        });
        let mut name = String::new();
        for _ in 0..3 {
            name = seen.recv().await.unwrap();
        }
        worker.abort();
        let _ = worker.await;
        name
    }

    /// Loses or adds something, and returns what.
    async fn damage(&self, rng: &mut Rng, orders: &[Order], worker: &str) -> String {
        let ids: Vec<String> = orders.iter().map(|order| order.next_job().job_id()).collect();
        let some = rng.choose_multiple(ids.iter().cloned(), rng.clone().usize(1..=ids.len()));
        let with = |first: &[&str]| -> Vec<String> {
            let first = first.iter().map(|&argument| argument.to_owned());
            first.chain(some.iter().cloned()).collect()
        };
        let key = |part: &str| self.key(part);
        let inflight = key(&format!("inflight:{worker}"));
        let commands: Vec<(&str, Vec<String>)> = match rng.u8(0..20) {
            0 => vec![("DEL", vec![key("active")])],
            1 => vec![("LTRIM", vec![key("active"), "2".into(), "4".into()])],
            2 => some
                .iter()
                .map(|id| ("LREM", vec![key("active"), "0".into(), id.clone()]))
                .collect(),
            3 => vec![("HDEL", with(&[&key("data")]))],
            4 => vec![("DEL", vec![key("data")])],
            5 => some
                .iter()
                .map(|id| ("DEL", vec![key(&format!("meta:{id}"))]))
                .collect(),
            6 => some
                .iter()
                .map(|id| {
                    (
                        "HDEL",
                        vec![key(&format!("meta:{id}")), "status".into(), "attempts".into()],
                    )
                })
                .collect(),
            7 => some
                .iter()
                .map(|id| {
                    (
                        "HSET",
                        vec![key(&format!("meta:{id}")), "status".into(), "Done".into()],
                    )
                })
                .collect(),
            8 => vec![("DEL", vec![inflight])],
            9 => vec![("SREM", with(&[&inflight]))],
            10 => vec![("DEL", vec![key("workers")])],
            // A worker that never counts as dead.
            11 => vec![
                ("ZADD", vec![key("workers"), "inf".into(), "ghost".into()]),
                ("SADD", with(&[&key("inflight:ghost")])),
                ("DEL", vec![key("active")]),
            ],
            12 => vec![
                ("DEL", vec![key("epoch")]),
                ("SET", vec![key("epoch:told"), "x".into()]),
            ],
            13 => vec![("RPUSH", with(&[&key("active")]))],
            14 => vec![("RPUSH", vec![key("active"), "phantom".into()])],
            15 => vec![("SADD", with(&[&key("done")])), ("SADD", with(&[&key("dead")]))],
            16 => some
                .iter()
                .map(|id| ("HSET", vec![key("data"), id.clone(), "?".into()]))
                .collect(),
            17 => some
                .iter()
                .map(|id| ("ZADD", vec![key("scheduled"), "1".into(), id.clone()]))
                .collect(),
            18 => vec![("DEL", vec![key(&format!("workers:metadata:{worker}"))])],
            _ => vec![(
                "DEL",
                ["active", "data", "workers", "epoch", "epoch:told"]
                    .map(key)
                    .into(),
            )],
        };
        for (command, arguments) in &commands {
            self.redis(command, arguments).await;
        }
        format!("{commands:?}")
    }

    /// Everything that was to happen later is due now, for PostgreSQL and for Redis.
    async fn let_time_pass(&self, orders: &[Order], dead_worker: &str) {
        self.make_all_due().await;
        let backdate = ["XX", "1000", dead_worker].map(str::to_owned);
        let arguments: Vec<String> = std::iter::once(self.key("workers")).chain(backdate).collect();
        self.redis("ZADD", &arguments).await;
        for order in orders {
            let meta = self.key(&format!("meta:{}", order.next_job().job_id()));
            let script = "if redis.call('EXISTS', KEYS[1]) == 1 then \
                redis.call('HSET', KEYS[1], 'enqueued_at', '1000') end";
            self.redis("EVAL", &[script.to_owned(), "1".to_owned(), meta])
                .await;
        }
    }

    async fn unfinished(&self) -> i64 {
        let query = "SELECT count(*) FROM orders WHERE dispatch_after IS NOT NULL";
        self.sql.query_one(query, &[]).await.unwrap().get(0)
    }
}

/// The list of waiting jobs is gone, while the payloads and the metas say that every job waits.
#[tokio::test]
async fn orders_whose_ids_were_lost_from_the_list_are_dispatched_when_they_are_due() {
    let shop = Shop::open().await;
    shop.poll().await.unwrap();
    for _ in 0..20 {
        let order = shop.order().await;
        shop.reconciler
            .dispatcher
            .dispatch(order.next_job())
            .await
            .unwrap();
    }
    shop.redis("DEL", &[shop.key("active")]).await;
    assert_eq!(shop.depth().await, 0);
    shop.make_all_due().await;
    shop.poll().await.unwrap();
    assert_eq!(shop.depth().await, 20);
}

/// Two workers of one database, and one that dies as the leader.
#[tokio::test]
async fn one_worker_at_a_time_reconciles_and_the_others_take_over() {
    LocalSet::new().run_until(take_turns()).await;
}

async fn take_turns() {
    let shop = Shop::open().await;
    let start = || {
        let reconciler = Reconciler {
            store: shop.reconciler.store.clone(),
            dispatcher: shop.reconciler.dispatcher.clone(),
            publisher: shop.reconciler.publisher.clone(),
            health: ReconcilerHealth::default(),
            is_leader: IsLeader::default(),
            pause: Pause::default(),
        };
        let (health, is_leader) = (reconciler.health.clone(), reconciler.is_leader.clone());
        let shutdown = CancellationToken::new();
        let token = shutdown.clone();
        let task = spawn_local(async move { reconciler.run(&token).await });
        (health, is_leader, shutdown, task)
    };
    let until = async |what: &str, condition: &dyn Fn() -> bool| {
        testkit::eventually(what, MINUTE, async || condition().then_some(())).await;
    };
    let (health, first_leads, shutdown, first) = start();
    until("a leader", &|| first_leads.get() && health.is_working()).await;
    let (health, second_leads, _shutdown, second) = start();
    until("a worker that stands by and is ready", &|| health.is_working()).await;
    assert!(!second_leads.get());

    // One that stops gives the lease up.
    shutdown.cancel();
    first.await.unwrap();
    assert!(!first_leads.get());
    until("the other to lead", &|| second_leads.get()).await;
    shop.order().await;
    shop.make_all_due().await;
    until_depth(&shop, 1).await;

    // One that dies holds it until its end.
    second.abort();
    let _ = second.await;
    let begun_at = Instant::now();
    let (_health, third_leads, _shutdown, third) = start();
    until("the third to lead", &|| third_leads.get()).await;
    assert!(begun_at.elapsed() > Duration::from_secs(1));
    third.abort();
}

async fn until_depth(shop: &Shop, depth: u64) {
    let reached = async || (shop.depth().await == depth).then_some(());
    testkit::eventually("the queue's depth", MINUTE, reached).await;
}

/// The statement for new orders runs into its timeout, for as long as the table is locked.
#[tokio::test]
async fn a_poll_that_took_long_and_failed_is_not_repeated_at_once() {
    let shop = Shop::open().await;
    let config = StoreConfig {
        statement_timeout: Duration::from_secs(1),
        ..StoreConfig::new(shop.database.url(), "worker-test")
    };
    let reconciler = Reconciler {
        store: Store::new(config).unwrap(),
        dispatcher: shop.reconciler.dispatcher.clone(),
        publisher: shop.reconciler.publisher.clone(),
        health: ReconcilerHealth::default(),
        is_leader: IsLeader::default(),
        pause: Pause::default(),
    };
    shop.poll().await.unwrap();
    let lock = "BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE";
    shop.sql.batch_execute(lock).await.unwrap();
    let watcher = shop.database.connect().await.unwrap();
    let shutdown = CancellationToken::new();
    let starts = async {
        let query = "SELECT extract(epoch FROM query_start)::float8 FROM pg_stat_activity \
            WHERE datname = current_database() AND application_name = 'worker-test' \
            AND wait_event_type = 'Lock'";
        let mut starts: Vec<f64> = Vec::new();
        while starts.len() < 3 {
            for row in watcher.query(query, &[]).await.unwrap() {
                let start = row.get(0);
                if starts.last() != Some(&start) {
                    starts.push(start);
                }
            }
            sleep(Duration::from_millis(20)).await;
        }
        shutdown.cancel();
        starts
    };
    let ((), starts) = tokio::join!(reconciler.run(&shutdown), starts);
    for pair in starts.windows(2) {
        let [earlier, later] = pair else { unreachable!() };
        // The timeout, and a pause as long.
        assert!(later - earlier >= 2.0, "{starts:?}");
    }
}

#[tokio::test]
async fn a_paused_reconciler_dispatches_nothing_and_everything_afterwards() {
    let shop = Shop::open().await;
    let mut state = State::default();
    shop.order().await;
    shop.make_all_due().await;
    shop.reconciler.pause.set(true);
    assert_eq!(
        shop.reconciler.poll(&mut state).await.unwrap(),
        Next::AfterInterval
    );
    assert_eq!(shop.depth().await, 0);
    shop.reconciler.pause.set(false);
    shop.reconciler.poll(&mut state).await.unwrap();
    assert_eq!(shop.depth().await, 1);
}

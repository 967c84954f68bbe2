//! Samples for charts: what they count, and who writes them.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{OrderId, OrderStatus};
use throughline_store::{SAMPLE_LENGTH, SampledState};
use uuid::{Timestamp, Uuid};

use crate::setup::Fixture;

/// The start of the period of 10 seconds that ended at least 10 seconds ago, by PostgreSQL's clock.
async fn period(fixture: &Fixture) -> DateTime<Utc> {
    let start = "SELECT date_bin('10 s', now(), 'epoch') - interval '20 s'";
    fixture.sql.query_one(start, &[]).await.unwrap().get(0)
}

/// An order of this time, which took some seconds.
async fn order(fixture: &Fixture, status: OrderStatus, created_at: DateTime<Utc>, seconds: f64) {
    let order = fixture.order().await;
    fixture.put_into(order.id, status).await;
    let unix = Timestamp::from_unix_time(
        u64::try_from(created_at.timestamp()).unwrap(),
        created_at.timestamp_subsec_nanos(),
        0,
        0,
    );
    let id: OrderId = Uuid::new_v7(unix).into();
    let set = format!(
        "id = '{id}', created_at = '{created_at}', \
         completed_at = CASE WHEN completed_at IS NOT NULL THEN '{created_at}'::timestamptz + interval '{seconds} s' END"
    );
    fixture.update(order.id, &set).await;
}

#[tokio::test]
async fn a_sample_has_the_orders_of_its_ten_seconds_and_later_samples_fill_a_gap() {
    let fixture = Fixture::new().await;
    let start = period(&fixture).await;
    let at = |seconds: i64| start + TimeDelta::seconds(seconds);
    for seconds in [0.5, 1.0, 2.0] {
        order(&fixture, OrderStatus::Completed, at(2), seconds).await;
    }
    order(&fixture, OrderStatus::Failed, at(3), 0.25).await;
    order(&fixture, OrderStatus::Cancelled, at(4), 0.25).await;
    order(&fixture, OrderStatus::Pending, at(5), 0.0).await;
    // Becomes final in the next sample, and was created in the one before.
    order(&fixture, OrderStatus::Completed, at(9), 2.0).await;
    order(&fixture, OrderStatus::Completed, at(-1), 2.0).await;

    let state = SampledState {
        waiting_for_backoff: 7,
        paused: true,
        oldest_age: 1.5,
        ..SampledState::default()
    };
    let two_leaders = async || {
        let write = || fixture.store.write_sample(Some(&state));
        let (one, two) = tokio::join!(write(), write());
        one.unwrap() | two.unwrap()
    };
    while two_leaders().await {}
    let samples = fixture.store.samples(at(-15), SAMPLE_LENGTH).await.unwrap();
    let sample = samples.iter().find(|sample| sample.at == start).unwrap();
    assert_eq!((sample.created, sample.completed, sample.cancelled), (7, 4, 1));
    assert_eq!(sample.failed, BTreeMap::from([("payment_timeout".to_owned(), 1)]));
    assert_eq!((sample.p50, sample.p99), (Some(0.5), Some(2.0)));
    assert!(
        samples.iter().rev().skip(1).all(|sample| sample.state.is_none()),
        "written later"
    );
    assert_eq!(samples.last().unwrap().state, Some(state));

    let all = fixture
        .store
        .samples(DateTime::UNIX_EPOCH, Duration::from_secs(7200))
        .await
        .unwrap();
    assert_eq!(all.iter().map(|sample| sample.created).sum::<i64>(), 8);
    let written: i64 = fixture
        .sql
        .query_one("SELECT count(*) FROM order_samples", &[])
        .await
        .unwrap()
        .get(0);
    assert!((355..=365).contains(&written), "an hour: {written}");
}

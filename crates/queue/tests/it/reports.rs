//! What processes report of themselves, and for how long it is listed.

use std::time::Duration;

use throughline_queue::Report;

use crate::support::{key, queue, run_redis};

#[tokio::test]
async fn the_latest_report_of_each_process_is_listed_until_it_is_deleted_or_old() {
    let queue = queue::<u32>().await;
    for (process, report) in [("b", 1), ("a", 2), ("b", 3)] {
        queue.report(process, &report).await.unwrap();
    }
    queue.report("newer", &"of a newer version").await.unwrap();
    let reports: Vec<Report<u32>> = queue.reports().await.unwrap();
    let listed: Vec<(&str, u32)> = reports
        .iter()
        .map(|report| (report.process.as_str(), report.report))
        .collect();
    assert_eq!(listed, [("a", 2), ("b", 3)]);
    assert!(reports.iter().all(|report| report.age < Duration::from_secs(60)));

    queue.delete_report("a").await.unwrap();
    let mut connection = queue.connection();
    let (seconds, _): (u64, u64) = run_redis(&mut connection, &["TIME"]).await;
    for (process, age) in [("late", 30), ("dead", 121)] {
        let report = format!("{} 4", seconds - age);
        let _: u64 = run_redis(
            &mut connection,
            &["HSET", &key(&queue, "reports"), process, &report],
        )
        .await;
    }
    let reports: Vec<Report<u32>> = queue.reports().await.unwrap();
    let processes: Vec<&str> = reports.iter().map(|report| report.process.as_str()).collect();
    assert_eq!(processes, ["b", "late"]);
    assert!(reports.get(1).unwrap().age >= Duration::from_secs(30));
    let left: u64 = run_redis(&mut connection, &["HLEN", &key(&queue, "reports")]).await;
    assert_eq!(left, 3, "the dead one is deleted");
}

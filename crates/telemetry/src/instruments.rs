//! The integrations' instruments, with the conventions' buckets. First used after [`crate::init`].

use std::sync::LazyLock;

use crate::measures::Measures;
use crate::metrics::{counter, histogram};

/// The buckets of HTTP and messaging durations, in seconds.
const DURATION_BUCKETS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
/// The buckets of database durations, in seconds.
pub(crate) const DB_DURATION_BUCKETS: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

pub(crate) struct Instruments {
    pub(crate) http_server: Measures,
    pub(crate) http_client: Measures,
    pub(crate) database: Measures,
    /// Of a new connection to a database.
    pub(crate) connect: Measures,
    pub(crate) send: Measures,
    /// Of a request that sends several messages.
    pub(crate) send_batch: Measures,
    /// Of each message in such a request.
    pub(crate) send_one_of_batch: Measures,
    pub(crate) process: Measures,
    /// Of each delivery.
    pub(crate) consume: Measures,
}

/// The instruments of this process.
pub(crate) fn instruments() -> &'static Instruments {
    static INSTRUMENTS: LazyLock<Instruments> = LazyLock::new(create);
    &INSTRUMENTS
}

fn create() -> Instruments {
    let send_batch = seconds(
        "messaging.client.operation.duration",
        "Duration of messaging operation initiated by a producer or consumer client.",
        DURATION_BUCKETS,
    );
    let send_one_of_batch = Measures {
        duration: None,
        count: Some(counter(
            "messaging.client.sent.messages",
            "{message}",
            "Number of messages producer attempted to send to the broker.",
        )),
    };
    Instruments {
        http_server: seconds(
            "http.server.request.duration",
            "Duration of HTTP server requests.",
            DURATION_BUCKETS,
        ),
        http_client: seconds(
            "http.client.request.duration",
            "Duration of HTTP client requests.",
            DURATION_BUCKETS,
        ),
        database: seconds(
            "db.client.operation.duration",
            "Duration of database client operations.",
            DB_DURATION_BUCKETS,
        ),
        connect: seconds(
            "db.client.connection.create_time",
            "The time it took to create a new connection.",
            DB_DURATION_BUCKETS,
        ),
        send: Measures {
            duration: send_batch.duration.clone(),
            count: send_one_of_batch.count.clone(),
        },
        send_batch,
        send_one_of_batch,
        process: seconds(
            "messaging.process.duration",
            "Duration of processing operation.",
            DURATION_BUCKETS,
        ),
        consume: Measures {
            duration: None,
            count: Some(counter(
                "messaging.client.consumed.messages",
                "{message}",
                "Number of messages that were delivered to the application.",
            )),
        },
    }
}

fn seconds(name: &'static str, description: &'static str, buckets: &[f64]) -> Measures {
    Measures {
        duration: Some(histogram(name, "s", description, buckets)),
        count: None,
    }
}

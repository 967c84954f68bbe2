//! The attribute names that this crate sets: OpenTelemetry's, from the crate of its conventions, and its own.
//! No other file of the crate spells one out. A service's own attributes (`order.*`, `payment.*`) are not
//! here: services write them as field names of `tracing` spans and events.

pub use opentelemetry_semantic_conventions::attribute::{
    CLIENT_ADDRESS, CPU_MODE, DB_CLIENT_CONNECTION_POOL_NAME, DB_CLIENT_CONNECTION_STATE, DB_COLLECTION_NAME,
    DB_NAMESPACE, DB_OPERATION_BATCH_SIZE, DB_OPERATION_NAME, DB_QUERY_SUMMARY, DB_QUERY_TEXT,
    DB_RESPONSE_STATUS_CODE, DB_SYSTEM_NAME, DEPLOYMENT_ENVIRONMENT_NAME, ERROR_TYPE, EXCEPTION_MESSAGE,
    EXCEPTION_STACKTRACE, EXCEPTION_TYPE, HOST_NAME, HTTP_REQUEST_BODY_SIZE, HTTP_REQUEST_METHOD,
    HTTP_REQUEST_METHOD_ORIGINAL, HTTP_REQUEST_RESEND_COUNT, HTTP_RESPONSE_BODY_SIZE,
    HTTP_RESPONSE_STATUS_CODE, HTTP_ROUTE, K8S_CONTAINER_NAME, K8S_DEPLOYMENT_NAME, K8S_NAMESPACE_NAME,
    K8S_NODE_NAME, K8S_POD_NAME, K8S_POD_UID, MESSAGING_BATCH_MESSAGE_COUNT, MESSAGING_CLIENT_ID,
    MESSAGING_DESTINATION_NAME, MESSAGING_MESSAGE_ID, MESSAGING_OPERATION_NAME, MESSAGING_OPERATION_TYPE,
    MESSAGING_SYSTEM, NETWORK_PEER_ADDRESS, NETWORK_PEER_PORT, NETWORK_PROTOCOL_NAME,
    NETWORK_PROTOCOL_VERSION, OS_TYPE, PROCESS_PID, PROCESS_RUNTIME_NAME, PROCESS_RUNTIME_VERSION,
    SERVER_ADDRESS, SERVER_PORT, SERVICE_INSTANCE_ID, SERVICE_NAME, SERVICE_NAMESPACE, SERVICE_VERSION,
    URL_FULL, URL_PATH, URL_QUERY, URL_SCHEME, URL_TEMPLATE, USER_AGENT_ORIGINAL,
};

/// Whether the request carried credentials (bool). The header itself is never recorded.
pub const HTTP_AUTH_PRESENT: &str = "http.auth.present";
/// What the service calls the request in its response (string).
pub const HTTP_REQUEST_ID: &str = "http.request.id";
/// The statement took longer than `SLOW_QUERY_THRESHOLD` (bool).
pub const DB_QUERY_SLOW: &str = "db.query.slow";
/// The connection prepared the statement for this run, and holds it for the next ones (bool).
pub const DB_QUERY_PREPARED: &str = "db.query.prepared";
/// The same statement ran ten times or more in one request (bool).
pub const DB_N_PLUS_ONE_SUSPECTED: &str = "db.n_plus_one.suspected";
/// The number of the attempt at the job, from 1 (int).
pub const QUEUE_ATTEMPT: &str = "queue.attempt";
/// The time that the job spent in the queue, in milliseconds (int).
pub const QUEUE_WAIT_MS: &str = "queue.wait_ms";
/// Why the job was sent again: a word of a small set. Set by services.
pub const QUEUE_REASON: &str = "queue.reason";

/// `db.system.name` of PostgreSQL.
pub const POSTGRESQL: &str = "postgresql";
/// `db.system.name` of MySQL and MariaDB.
pub const MYSQL: &str = "mysql";
/// `db.system.name` of SQLite.
pub const SQLITE: &str = "sqlite";
/// `db.system.name` of Redis.
pub const REDIS: &str = "redis";
/// `messaging.system` of jobs.
pub const APALIS: &str = "apalis";

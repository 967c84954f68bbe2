//! The handle on one queue: cheap to clone, safe to share. What it does is spread over the modules named after it.

use std::{fmt, marker::PhantomData, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

use crate::{config::QueueConfig, connection::Connection, error::QueueError, keys::Keys};

/// What can be a job: anything that goes into JSON and back. Implemented for every such type.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + Unpin + 'static {}
impl<T: Serialize + DeserializeOwned + Send + Sync + Unpin + 'static> Job for T {}

/// A handle on one queue of jobs `J`.
pub struct Queue<J> {
    pub(crate) connection: Connection,
    pub(crate) keys: Arc<Keys>,
    name: Arc<str>,
    job: PhantomData<fn() -> J>,
}

impl<J: Job> Queue<J> {
    /// Connects, and fails if Redis does not answer.
    ///
    /// # Errors
    /// A setting is not valid, or Redis is away: known after twice the connect time-out and once the response time-out
    /// at the latest.
    pub async fn connect(config: QueueConfig) -> Result<Self, QueueError> {
        let queue = Self::connect_lazy(config)?;
        queue.ping().await?;
        Ok(queue)
    }

    /// Returns at once, whether Redis is up or not: calls fail while it is away, and succeed when it is back.
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// A setting is not valid.
    pub fn connect_lazy(config: QueueConfig) -> Result<Self, QueueError> {
        config.validate()?;
        Ok(Self {
            connection: Connection::lazy(&config)?,
            keys: Arc::new(Keys::new(&config.name)),
            name: config.name.into(),
            job: PhantomData,
        })
    }

    /// The queue's name, as configured.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Redis' host and port, for span attributes. Never credentials.
    pub fn server(&self) -> (&str, u16) {
        self.connection.server()
    }

    /// The number of the database in Redis, for span attributes.
    pub fn database(&self) -> i64 {
        self.connection.database()
    }

    /// The connection below, for a cache in the same Redis.
    pub fn connection(&self) -> Connection {
        self.connection.clone()
    }

    /// Asks Redis for a sign of life.
    ///
    /// # Errors
    /// Redis is away or too slow.
    pub async fn ping(&self) -> Result<(), QueueError> {
        redis::cmd("PING")
            .exec_async(&mut self.connection.clone())
            .await
            .map_err(|source| self.connection.error("ping", source))
    }
}

// By hand: derived, it would ask for `J: Clone`.
impl<J> Clone for Queue<J> {
    fn clone(&self) -> Self {
        Self {
            connection: self.connection.clone(),
            keys: Arc::clone(&self.keys),
            name: Arc::clone(&self.name),
            job: PhantomData,
        }
    }
}

impl<J> fmt::Debug for Queue<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

//! The handle of one queue. Its operations are in the modules named after them: `enqueue`, `epoch`, `stats`,
//! `cleanup`, `worker`.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::QueueConfig;
use crate::connection::Connection;
use crate::error::QueueError;
use crate::keys::Keys;

/// A type that serde can write as JSON and read back. Implemented for every such type.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + Unpin + 'static {}
impl<T: Serialize + DeserializeOwned + Send + Sync + Unpin + 'static> Job for T {}

/// A handle of one queue of jobs `J`. Cheap to clone, safe to share.
pub struct Queue<J> {
    pub(crate) connection: Connection,
    pub(crate) keys: Arc<Keys>,
    name: Arc<str>,
    job: PhantomData<fn() -> J>,
}

impl<J: Job> Queue<J> {
    /// Connects, and fails if Redis does not respond.
    ///
    /// # Errors
    /// A setting is not valid, or Redis is unavailable. Takes at most twice the connect timeout plus the
    /// response timeout.
    pub async fn connect(config: QueueConfig) -> Result<Self, QueueError> {
        let queue = Self::connect_lazy(config)?;
        queue.ping().await?;
        Ok(queue)
    }

    /// Returns without connecting. Calls fail while Redis is unavailable, and succeed when it is back. Must
    /// be called within a tokio runtime.
    ///
    /// # Errors
    /// A setting is not valid, or the release of apalis-redis stores queues elsewhere.
    pub fn connect_lazy(config: QueueConfig) -> Result<Self, QueueError> {
        config.validate()?;
        Ok(Self {
            connection: Connection::lazy(&config)?,
            keys: Arc::new(Keys::of_apalis(&config.name)?),
            name: config.name.into(),
            job: PhantomData,
        })
    }

    /// This queue with another connection, which the calling thread's runtime drives once it is used.
    #[must_use]
    pub fn on_this_thread(&self) -> Self {
        Self {
            connection: self.connection.another(),
            ..self.clone()
        }
    }

    /// The queue's name, as configured: the prefix of its keys.
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

    /// The queue's connection, for a cache in the same Redis.
    pub fn connection(&self) -> Connection {
        self.connection.clone()
    }

    /// Checks that Redis responds.
    ///
    /// # Errors
    /// Redis is unavailable or responds too slowly.
    pub async fn ping(&self) -> Result<(), QueueError> {
        redis::cmd("PING")
            .exec_async(&mut self.connection.clone())
            .await
            .map_err(|source| self.connection.error("ping", source))
    }
}

// Not derived: that would require `J: Clone`.
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

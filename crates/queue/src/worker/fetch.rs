//! The connection of an apalis worker. apalis fetches each time that it is polled, also after each job, each
//! acknowledgement and each tick: seven times for a lone job, at five commands of Redis. This connection
//! sends a fetch if one is [due](Wake), and otherwise responds that there are no jobs.

use std::sync::Arc;

use redis::aio::ConnectionLike;
use redis::{Arg, AsyncCommands, Cmd, Pipeline, RedisFuture, RedisResult, Value};
use tokio::sync::Semaphore;

use super::poll::Wake;
use crate::connection::Connection;
use crate::keys::Keys;

#[derive(Clone)]
pub(crate) struct FetchWhenDue {
    pub(crate) connection: Connection,
    pub(crate) keys: Arc<Keys>,
    pub(crate) wake: Arc<Wake>,
    /// Names this process in the set of those that wait.
    pub(crate) instance: Arc<str>,
    /// Jobs that one fetch takes at most. After so many there may be more.
    pub(crate) batch_size: usize,
    /// One permit per running job; apalis holds one for the next job.
    pub(crate) slots: Arc<Semaphore>,
}

impl FetchWhenDue {
    /// Whether it is `EVALSHA hash 7 workers active ...`, as only apalis' fetch is. One that is not
    /// recognised is sent.
    fn is_fetch(&self, command: &Cmd) -> bool {
        let mut arguments = command.args_iter().skip(2);
        let mut is = |expected: &str| matches!(arguments.next(), Some(Arg::Simple(found)) if found == expected.as_bytes());
        is("7") && is(&self.keys.workers) && is(&self.keys.active)
    }

    /// Enters the set of waiting processes and fetches, in one round trip. A job that is enqueued before is
    /// fetched; one that is enqueued after wakes this process. If the jobs take every slot, it leaves the
    /// set, and fetches again when a slot is free.
    async fn fetch(self, command: Cmd) -> RedisResult<Value> {
        let mut both = redis::pipe();
        both.sadd(&self.keys.idle, &*self.instance);
        both.add_command(command);
        let results = self.connection.clone().req_packed_commands(&both, 0, 2).await;
        let fetched = results.map(|results| results.into_iter().next_back().unwrap_or(Value::Nil));
        let jobs = match &fetched {
            Ok(Value::Array(fetched)) => fetched
                .first()
                .and_then(|jobs| jobs.as_sequence())
                .map(<[_]>::len),
            // The script is not loaded yet, or the worker ends.
            _ => None,
        };
        let is_full = jobs.is_some_and(|jobs| jobs > self.slots.available_permits());
        if is_full {
            self.leave_set().await;
        }
        self.wake
            .fetch_ended(is_full || jobs.is_none_or(|jobs| jobs >= self.batch_size));
        fetched
    }

    /// Leaves the set of waiting processes. With an error the entry stays, and a wake-up may be sent to this
    /// process instead of another.
    pub(crate) async fn leave_set(&self) {
        let mut connection = self.connection.clone();
        let removed: RedisResult<()> = connection.srem(&self.keys.idle, &*self.instance).await;
        if let Err(error) = removed {
            tracing::debug!(%error, "cannot leave the set of waiting workers");
        }
    }
}

impl ConnectionLike for FetchWhenDue {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        if !self.is_fetch(cmd) {
            return self.connection.req_packed_command(cmd);
        }
        if self.wake.begin_fetch() {
            return Box::pin(self.clone().fetch(cmd.clone()));
        }
        let no_jobs = Value::Array(vec![Value::Array(Vec::new()), Value::Array(Vec::new())]);
        Box::pin(std::future::ready(Ok(no_jobs)))
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.connection.req_packed_commands(pipeline, offset, count)
    }

    fn get_db(&self) -> i64 {
        self.connection.get_db()
    }
}

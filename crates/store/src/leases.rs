//! Leases of work that one process at a time does for the whole database.

use std::time::Duration;

use diesel::sql_types::{Interval, Text, Uuid as SqlUuid};
use uuid::Uuid;

use crate::error::StoreError;
use crate::pg::expressions::interval;
use crate::store::Store;

telemetry::statement! {
    HoldLease: "INSERT" "leases", action "hold_lease", framework "apalis";
    EndLease: "DELETE" "leases", action "end_lease", framework "apalis";
}

impl Store {
    /// Takes or renews the lease `name` for `holder`. Gives whether `holder` has it now, for `length` from
    /// the start of the statement. While another process holds it, the statement only reads. Polled, so it
    /// makes no span.
    ///
    /// # Errors
    /// PostgreSQL is unavailable.
    pub async fn hold_lease(&self, name: &str, holder: Uuid, length: Duration) -> Result<bool, StoreError> {
        let upsert = diesel::sql_query(
            "INSERT INTO leases (name, holder, ends_at) \
             SELECT $1, $2, now() + $3 \
             WHERE NOT EXISTS (SELECT FROM leases WHERE name = $1 AND holder <> $2 AND ends_at > now()) \
             ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, ends_at = excluded.ends_at \
             WHERE leases.holder = excluded.holder OR leases.ends_at <= now()",
        );
        let upsert = upsert
            .bind::<Text, _>(name)
            .bind::<SqlUuid, _>(holder)
            .bind::<Interval, _>(interval(length));
        let written = telemetry::span::untraced(self.pg.execute::<HoldLease, _>(upsert)).await?;
        Ok(written == 1)
    }

    /// Ends the lease, if `holder` has it, so that another process need not wait for its end.
    ///
    /// # Errors
    /// PostgreSQL is unavailable. The lease then ends by itself.
    pub async fn end_lease(&self, name: &str, holder: Uuid) -> Result<(), StoreError> {
        let delete = diesel::sql_query("DELETE FROM leases WHERE name = $1 AND holder = $2");
        let delete = delete.bind::<Text, _>(name).bind::<SqlUuid, _>(holder);
        telemetry::span::untraced(self.pg.execute::<EndLease, _>(delete)).await?;
        Ok(())
    }
}

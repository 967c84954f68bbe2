//! The connection that diesel's queries run on. Unlike diesel-async's, its errors keep their SQLSTATE (see
//! [`telemetry::db::sqlstate`]), a statement can be cancelled, and it needs no state of a session, which
//! PgBouncer's transaction mode does not keep.

use std::collections::HashMap;
use std::time::Duration;

use diesel::QueryResult;
use diesel::pg::{Pg, PgMetadataLookup, PgQueryBuilder, PgTypeMetadata};
use diesel::query_builder::bind_collector::RawBytesBindCollector;
use diesel::query_builder::{AsQuery, QueryBuilder, QueryFragment, QueryId};
use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind, Error as DieselError};
use diesel_async::{AsyncConnectionCore, SimpleAsyncConnection};
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, RowStream, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::BoxError;
use crate::pg::cancel::cancel;
use crate::pg::row::PgRow;

/// For the cancel request and the end of the statement together.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);

/// One statement at a time. Dropping it closes its socket at once, whatever is under way.
pub(crate) struct Connection {
    client: Client,
    /// Drives the client.
    driver: AbortHandle,
    /// Host and port. `None` for a Unix socket.
    server: Option<(String, u16)>,
    tls: MakeRustlsConnect,
    /// By text. `None` if the server does not keep prepared statements.
    prepared: Option<HashMap<String, Statement>>,
}

impl Connection {
    pub(crate) fn new(
        (client, driver): (Client, AbortHandle),
        server: Option<(String, u16)>,
        tls: MakeRustlsConnect,
        prepares: bool,
    ) -> Self {
        Self {
            client,
            driver,
            server,
            tls,
            prepared: prepares.then(HashMap::new),
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Cancels the statement that a dropped future left running, and waits for its end. Gives whether the
    /// connection is idle; otherwise it must not be used again.
    pub(crate) async fn cancel(&self) -> bool {
        let (token, tls) = (self.client.cancel_token(), self.tls.clone());
        let idle = async {
            match &self.server {
                Some((host, port)) => cancel(&token, (host, *port), tls).await?,
                // The request may be carried out later, so the connection is not used again.
                None => token.cancel_query(tls).await?,
            }
            self.client.check_connection().await?;
            Ok::<_, BoxError>(self.server.is_some())
        };
        !self.is_closed() && matches!(timeout(CANCEL_TIMEOUT, idle).await, Ok(Ok(true)))
    }

    async fn run(&mut self, query: QueryResult<(String, Vec<Param>)>) -> QueryResult<RowStream> {
        let (text, params) = query?;
        let client = &self.client;
        let response = async {
            let Some(prepared) = &mut self.prepared else {
                let typed = params.into_iter().map(|param| {
                    let sql_type = param.sql_type.clone();
                    (param, sql_type)
                });
                return client.query_typed_raw(&text, typed).await;
            };
            let statement = match prepared.get(&text) {
                Some(statement) => statement.clone(),
                None => {
                    let types: Vec<Type> = params.iter().map(|param| param.sql_type.clone()).collect();
                    let statement = client.prepare_typed(&text, &types).await?;
                    prepared.entry(text).or_insert(statement).clone()
                }
            };
            client.query_raw(&statement, params).await
        };
        response.await.map_err(query_error)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl SimpleAsyncConnection for Connection {
    async fn batch_execute(&mut self, query: &str) -> QueryResult<()> {
        self.client.batch_execute(query).await.map_err(query_error)
    }
}

impl AsyncConnectionCore for Connection {
    type ExecuteFuture<'conn, 'query> = BoxFuture<'conn, QueryResult<usize>>;
    type LoadFuture<'conn, 'query> = BoxFuture<'conn, QueryResult<Self::Stream<'conn, 'query>>>;
    type Stream<'conn, 'query> = BoxStream<'static, QueryResult<PgRow>>;
    type Row<'conn, 'query> = PgRow;
    type Backend = Pg;

    fn load<'conn, 'query, T>(&'conn mut self, source: T) -> Self::LoadFuture<'conn, 'query>
    where
        T: AsQuery + 'query,
        T::Query: QueryFragment<Pg> + QueryId + 'query,
    {
        let query = text_and_params(&source.as_query());
        let rows = async { Ok(self.run(query).await?.map_ok(PgRow).map_err(query_error).boxed()) };
        rows.boxed()
    }

    fn execute_returning_count<'conn, 'query, T>(
        &'conn mut self,
        source: T,
    ) -> Self::ExecuteFuture<'conn, 'query>
    where
        T: QueryFragment<Pg> + QueryId + 'query,
    {
        let query = text_and_params(&source);
        let count = async {
            let mut rows = std::pin::pin!(self.run(query).await?);
            while rows.try_next().await.map_err(query_error)?.is_some() {}
            let affected = rows.rows_affected().unwrap_or_default();
            usize::try_from(affected).map_err(|error| DieselError::DeserializationError(error.into()))
        };
        count.boxed()
    }
}

/// A parameter in PostgreSQL's binary format.
#[derive(Debug)]
struct Param {
    sql_type: Type,
    value: Option<Vec<u8>>,
}

impl ToSql for Param {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
        let Some(value) = &self.value else {
            return Ok(IsNull::Yes);
        };
        out.extend_from_slice(value);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

fn text_and_params(query: &impl QueryFragment<Pg>) -> QueryResult<(String, Vec<Param>)> {
    let (mut text, mut binds) = (PgQueryBuilder::default(), RawBytesBindCollector::<Pg>::new());
    query.to_sql(&mut text, &Pg)?;
    query.collect_binds(&mut binds, &mut BuiltInTypes, &Pg)?;
    let param = |(metadata, value): (PgTypeMetadata, _)| {
        let oid = metadata.oid().unwrap_or_default();
        let unknown =
            || DieselError::SerializationError("only PostgreSQL's built-in types have parameters".into());
        let sql_type = Type::from_oid(oid).ok_or_else(unknown)?;
        Ok(Param { sql_type, value })
    };
    let params = binds.metadata.into_iter().zip(binds.binds).map(param);
    Ok((text.finish(), params.collect::<QueryResult<_>>()?))
}

/// Other types would need a query for their OIDs.
struct BuiltInTypes;

impl PgMetadataLookup for BuiltInTypes {
    fn lookup_type(&mut self, _name: &str, _schema: Option<&str>) -> PgTypeMetadata {
        PgTypeMetadata::new(0, 0)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn query_error(error: tokio_postgres::Error) -> DieselError {
    let Some(response) = error.as_db_error() else {
        let kind = if error.is_closed() {
            DatabaseErrorKind::ClosedConnection
        } else {
            DatabaseErrorKind::UnableToSendCommand
        };
        return DieselError::DatabaseError(kind, Box::new(error.to_string()));
    };
    let kind = match *response.code() {
        SqlState::UNIQUE_VIOLATION => DatabaseErrorKind::UniqueViolation,
        SqlState::FOREIGN_KEY_VIOLATION => DatabaseErrorKind::ForeignKeyViolation,
        SqlState::NOT_NULL_VIOLATION => DatabaseErrorKind::NotNullViolation,
        SqlState::CHECK_VIOLATION => DatabaseErrorKind::CheckViolation,
        SqlState::EXCLUSION_VIOLATION => DatabaseErrorKind::ExclusionViolation,
        SqlState::T_R_SERIALIZATION_FAILURE => DatabaseErrorKind::SerializationFailure,
        SqlState::READ_ONLY_SQL_TRANSACTION => DatabaseErrorKind::ReadOnlyTransaction,
        _ => DatabaseErrorKind::Unknown,
    };
    DieselError::DatabaseError(kind, Box::new(Response::from(response.clone())))
}

/// An error response. Its message begins with the SQLSTATE, as psql's verbose messages do.
struct Response {
    message: String,
    error: DbError,
}

impl From<DbError> for Response {
    fn from(error: DbError) -> Self {
        Self {
            message: format!("{}: {}", error.code().code(), error.message()),
            error,
        }
    }
}

impl DatabaseErrorInformation for Response {
    fn message(&self) -> &str {
        &self.message
    }

    fn details(&self) -> Option<&str> {
        self.error.detail()
    }

    fn hint(&self) -> Option<&str> {
        self.error.hint()
    }

    fn table_name(&self) -> Option<&str> {
        self.error.table()
    }

    fn column_name(&self) -> Option<&str> {
        self.error.column()
    }

    fn constraint_name(&self) -> Option<&str> {
        self.error.constraint()
    }

    fn statement_position(&self) -> Option<i32> {
        None
    }
}

//! `jsonb` values of any type that serde reads and writes.

use std::fmt::Debug;
use std::io::Write;

use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::{Pg, PgValue};
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::Jsonb;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{BoxError, SharedError};

/// A value in a `jsonb` column.
#[derive(Debug, Clone, Copy, AsExpression, FromSqlRow)]
#[diesel(sql_type = Jsonb)]
pub(crate) struct Json<T: Debug>(pub(crate) T);

/// The binary format of `jsonb` is this byte and the text.
const JSONB_VERSION: u8 = 1;

impl<T: Debug + Serialize> ToSql<Jsonb, Pg> for Json<T> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        out.write_all(&[JSONB_VERSION])?;
        serde_json::to_writer(out, &self.0)?;
        Ok(IsNull::No)
    }
}

impl<T: Debug + DeserializeOwned> FromSql<Jsonb, Pg> for Json<T> {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        read(&value).map(Self)
    }
}

/// A value in a `jsonb` column, or why it cannot be read: an error of the statement would hide its other
/// rows.
#[derive(Debug, Clone, FromSqlRow)]
pub(crate) struct TryJson<T: Debug>(pub(crate) Result<T, SharedError>);

impl<T: Debug + DeserializeOwned> FromSql<Jsonb, Pg> for TryJson<T> {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        Ok(Self(read(&value).map_err(SharedError::from)))
    }
}

fn read<T: DeserializeOwned>(value: &PgValue<'_>) -> Result<T, BoxError> {
    match value.as_bytes().split_first() {
        Some((&JSONB_VERSION, text)) => Ok(serde_json::from_slice(text)?),
        _ => Err("jsonb of an unknown version".into()),
    }
}

//! The description of a statement, and the comment that is sent with it.

use std::sync::OnceLock;

use diesel::pg::{Pg, PgQueryBuilder};
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;

use crate::masking::static_text;

/// The description of a statement. Declare it with [`statement!`](crate::statement).
pub trait Statement: 'static {
    /// `INSERT`, `SELECT`, `UPDATE`, `DELETE`.
    const OPERATION: &'static str;
    /// The table's name.
    const COLLECTION: &'static str;
    /// Operation and table, which is the span's name.
    const SUMMARY: &'static str;
    /// The comment that is sent with the statement, in sqlcommenter's format.
    const COMMENT: &'static str;

    /// Holds the statement's text from its first run on.
    #[doc(hidden)]
    fn text() -> &'static OnceLock<&'static str>;
}

/// Declares [`Statement`](crate::db::Statement) types: `Name: "OPERATION" "table", action "what_for",
/// framework "actix-web";`, with a visibility before the name if another module needs it.
///
/// The action and the framework become the statement's comment.
#[macro_export]
macro_rules! statement {
    ($($(#[$doc:meta])* $visibility:vis $name:ident: $operation:literal $collection:literal, action $action:literal, framework $framework:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        $visibility struct $name;

        impl $crate::db::Statement for $name {
            const OPERATION: &'static str = $operation;
            const COLLECTION: &'static str = $collection;
            const SUMMARY: &'static str = concat!($operation, " ", $collection);
            const COMMENT: &'static str = concat!(" /*action='", $action, "',db_driver='diesel-async',framework='", $framework, "'*/");

            fn text() -> &'static std::sync::OnceLock<&'static str> {
                static TEXT: std::sync::OnceLock<&'static str> = std::sync::OnceLock::new();
                &TEXT
            }
        }
    )+};
}

/// A query followed by its statement's comment. Runs like the query.
#[derive(Debug, Clone, Copy)]
pub struct Commented<Q, S> {
    query: Q,
    statement: std::marker::PhantomData<S>,
}

/// Appends the statement's comment to the query. The first call stores the query's text for the spans.
pub fn commented<S, Q>(query: Q) -> Commented<Q, S>
where
    S: Statement,
    Q: QueryFragment<Pg>,
{
    S::text().get_or_init(|| {
        let mut builder = PgQueryBuilder::default();
        match query.to_sql(&mut builder, &Pg) {
            Ok(()) => static_text(&diesel::query_builder::QueryBuilder::<Pg>::finish(builder)),
            Err(_) => S::SUMMARY,
        }
    });
    Commented {
        query,
        statement: std::marker::PhantomData,
    }
}

impl<Q: QueryFragment<Pg>, S: Statement> QueryFragment<Pg> for Commented<Q, S> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.query.walk_ast(out.reborrow())?;
        out.push_sql(S::COMMENT);
        Ok(())
    }
}

/// Two statements that run the same query are two prepared statements: their comments differ.
impl<Q: QueryId, S: Statement> QueryId for Commented<Q, S> {
    type QueryId = Commented<Q::QueryId, S>;
    const HAS_STATIC_QUERY_ID: bool = Q::HAS_STATIC_QUERY_ID;
}

impl<Q: Query, S> Query for Commented<Q, S> {
    type SqlType = Q::SqlType;
}

impl<Q, S, Conn> diesel::RunQueryDsl<Conn> for Commented<Q, S> {}

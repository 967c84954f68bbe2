//! Statements that are written in SQL. The text of one with a row of parameters for each call that it carries
//! does not depend on the number of rows, so that it can stay prepared.

use std::marker::PhantomData;

use diesel::expression::{AsExpression, TypedExpressionType};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, SingleValue, SqlType};

type Part<'a> = Box<dyn QueryFragment<Pg> + Send + 'a>;

/// Rows of parameters: columns with a name, and a value for each row.
#[derive(Default)]
pub(crate) struct Rows<'a>(Vec<(&'static str, Part<'a>)>);

impl<'a> Rows<'a> {
    /// A further column, of the SQL type `S`.
    pub(crate) fn column<S, T>(mut self, name: &'static str, values: impl Iterator<Item = T>) -> Self
    where
        S: SqlType + SingleValue,
        Vec<T>: AsExpression<Array<S>>,
        <Vec<T> as AsExpression<Array<S>>>::Expression: QueryFragment<Pg> + Send + 'a,
    {
        let values = values.collect::<Vec<T>>().as_expression();
        self.0.push((name, Box::new(values)));
        self
    }
}

/// All rows, as a table of this name.
struct Table<'a>(Rows<'a>, &'static str);

impl QueryFragment<Pg> for Table<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let Self(Rows(columns), name) = self;
        let mut before = "unnest(";
        for (_, values) in columns {
            out.push_sql(before);
            values.walk_ast(out.reborrow())?;
            before = ", ";
        }
        out.push_sql(") AS ");
        out.push_sql(name);
        before = " (";
        for (column, _) in columns {
            out.push_sql(before);
            out.push_sql(column);
            before = ", ";
        }
        out.push_sql(")");
        Ok(())
    }
}

/// The first row, as a table of this name. To the planner its values are constants.
struct OneRow<'a>(Rows<'a>, &'static str);

impl QueryFragment<Pg> for OneRow<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let Self(Rows(columns), name) = self;
        let mut before = "(SELECT (";
        for (column, values) in columns {
            out.push_sql(before);
            values.walk_ast(out.reborrow())?;
            out.push_sql(")[1] AS ");
            out.push_sql(column);
            before = ", (";
        }
        out.push_sql(") AS ");
        out.push_sql(name);
        Ok(())
    }
}

struct Text(&'static str);

impl QueryFragment<Pg> for Text {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(self.0);
        Ok(())
    }
}

/// A statement that returns rows of the SQL type `S`.
pub(crate) struct Written<'a, S> {
    parts: Vec<Part<'a>>,
    returns: PhantomData<fn() -> S>,
}

impl<'a, S> Written<'a, S> {
    pub(crate) fn new() -> Self {
        Self {
            parts: Vec::new(),
            returns: PhantomData,
        }
    }

    pub(crate) fn sql(self, sql: &'static str) -> Self {
        self.part(Text(sql))
    }

    pub(crate) fn table(self, rows: Rows<'a>, name: &'static str) -> Self {
        self.part(Table(rows, name))
    }

    pub(crate) fn one_row(self, rows: Rows<'a>, name: &'static str) -> Self {
        self.part(OneRow(rows, name))
    }

    /// A parameter of the SQL type `P`.
    pub(crate) fn bind<P, T>(self, value: T) -> Self
    where
        P: SqlType + TypedExpressionType,
        T: AsExpression<P, Expression: QueryFragment<Pg> + Send + 'a>,
    {
        self.part(value.as_expression())
    }

    /// The columns of this row, with commas between them.
    pub(crate) fn columns_of<R>(self) -> Self
    where
        R: Selectable<Pg, SelectExpression: QueryFragment<Pg> + Send + 'a>,
    {
        self.part(R::construct_selection())
    }

    pub(crate) fn part(mut self, part: impl QueryFragment<Pg> + Send + 'a) -> Self {
        self.parts.push(Box::new(part));
        self
    }
}

impl<S> QueryFragment<Pg> for Written<'_, S> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        for part in &self.parts {
            part.walk_ast(out.reborrow())?;
        }
        Ok(())
    }
}

impl<S> QueryId for Written<'_, S> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<S> Query for Written<'_, S> {
    type SqlType = S;
}

impl<S, Conn> RunQueryDsl<Conn> for Written<'_, S> {}

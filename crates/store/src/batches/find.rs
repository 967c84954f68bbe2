//! Finds orders by id.

use std::collections::HashMap;

use diesel::prelude::*;
use domain::OrderId;
use uuid::Uuid;

use crate::error::StoreError;
use crate::pg::lane::{BatchStatement, LaneConnection};
use crate::row::OrderRow;
use crate::schema::orders;

telemetry::statement! {
    pub(crate) SelectOrder: "SELECT" "orders", action "find_order", framework "actix-web";
}

pub(crate) struct FindOrders;

impl BatchStatement for FindOrders {
    type Statement = SelectOrder;
    type Item = OrderId;
    type Output = Option<OrderRow>;

    async fn run(
        connection: &mut LaneConnection,
        ids: &[OrderId],
    ) -> Result<Vec<Option<OrderRow>>, StoreError> {
        let uuids: Vec<Uuid> = ids.iter().map(|id| id.as_uuid()).collect();
        let query = orders::table
            .filter(orders::id.eq_any(uuids))
            .select(OrderRow::as_select());
        let rows: Vec<OrderRow> = connection.rows::<SelectOrder, _, _>(query).await?;
        let rows: HashMap<Uuid, OrderRow> = rows.into_iter().map(|row| (row.id(), row)).collect();
        Ok(ids.iter().map(|id| rows.get(&id.as_uuid()).cloned()).collect())
    }
}

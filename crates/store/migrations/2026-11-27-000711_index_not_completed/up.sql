-- Lists of one status. Nearly all orders are completed, and those are found along the primary key. Its
-- collation differs from the column's, so that only lists that name that collation use it.
CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_not_completed ON orders (status COLLATE "C", id)
    WHERE status <> 'completed';

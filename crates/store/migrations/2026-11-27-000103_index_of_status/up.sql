-- An operator's list of one status. Without it, the planner reads the primary key backwards and expects the
-- status to be spread evenly, which the failures of one incident are not.
CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_of_status ON orders (status, id);

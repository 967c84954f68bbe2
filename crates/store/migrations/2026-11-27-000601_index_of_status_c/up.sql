-- Replaces orders_of_status. Its collation differs from the column's, so only the list of one status, which
-- names that collation, can use it. The planner took orders_of_status for a customer's own list too, and then
-- read every order of that status.
CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_of_status_c ON orders (status COLLATE "C", id);

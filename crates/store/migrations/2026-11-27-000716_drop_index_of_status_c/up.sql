-- orders_not_completed replaces it.
DROP INDEX CONCURRENTLY IF EXISTS orders_of_status_c;

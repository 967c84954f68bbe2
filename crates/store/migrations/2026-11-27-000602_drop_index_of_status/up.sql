-- No release used it.
DROP INDEX CONCURRENTLY IF EXISTS orders_of_status;

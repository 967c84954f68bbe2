CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_by_failure ON orders (failure_code COLLATE "C", id)
    WHERE failure_code IS NOT NULL;

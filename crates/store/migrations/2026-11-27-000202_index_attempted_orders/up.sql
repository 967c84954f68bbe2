-- Retries and orders whose worker died, which the reconciler takes first, however many new orders are due.
CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_due_attempted ON orders (dispatch_after)
    WHERE dispatch_after IS NOT NULL AND attempt > 0;

-- Final orders of release 0.1 whose payment is not settled. Empty once they are.
CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_unsettled ON orders (id)
    WHERE payment_status = 'pending' AND status IN ('failed', 'cancelled');

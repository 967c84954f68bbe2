-- The states of a payment that few orders have.
CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_by_payment ON orders (payment_status COLLATE "C", id)
    WHERE payment_status IN ('refused', 'cancelled');

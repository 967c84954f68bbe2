CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_by_payment_id ON orders (final_payment_id)
    WHERE final_payment_id IS NOT NULL;

-- Final orders by age: for the totals, whose watermark follows it, and for prune, which deletes the oldest.
CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_completed ON orders (completed_at, id)
    WHERE completed_at IS NOT NULL;

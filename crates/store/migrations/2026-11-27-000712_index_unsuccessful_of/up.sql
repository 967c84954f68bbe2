-- A customer's failed or cancelled orders. Unfinished and completed ones are found in orders_of_customer.
CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_unsuccessful_of_customer
    ON orders (customer, status COLLATE "C", id) WHERE status IN ('failed', 'cancelled');

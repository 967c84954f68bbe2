CREATE INDEX IF NOT EXISTS orders_of_status ON orders (status, id);

CREATE INDEX IF NOT EXISTS orders_of_status_c ON orders (status COLLATE "C", id);

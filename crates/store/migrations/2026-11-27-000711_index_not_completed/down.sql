DROP INDEX IF EXISTS orders_not_completed;

DROP INDEX IF EXISTS orders_of_status_c;

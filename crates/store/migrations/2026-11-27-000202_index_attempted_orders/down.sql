DROP INDEX IF EXISTS orders_due_attempted;

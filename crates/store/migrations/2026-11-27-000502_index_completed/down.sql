DROP INDEX orders_completed;

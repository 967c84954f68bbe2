DROP INDEX IF EXISTS orders_unsuccessful_of_customer;

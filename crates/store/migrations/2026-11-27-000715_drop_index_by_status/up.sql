-- orders_not_completed and orders_unsuccessful_of_customer replace it. Every order had three entries in it,
-- and an order that is completed at the first attempt has two in those. Release 0.1 lists orders of a status
-- without it, but slowly.
DROP INDEX CONCURRENTLY IF EXISTS orders_by_status;

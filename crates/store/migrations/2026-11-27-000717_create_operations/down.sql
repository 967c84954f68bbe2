DROP TABLE operations, queue_state, order_samples;
ALTER TABLE orders DROP COLUMN final_payment_id;
ALTER TABLE order_totals_state DROP COLUMN rest;

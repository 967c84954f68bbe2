-- Release 0.1 knows neither the ids of payments that were not charged, nor that one was cancelled. See
-- docs/upgrading.md: for development.
ALTER TABLE orders
    DROP CONSTRAINT orders_payment_status_check,
    DROP CONSTRAINT orders_charge_has_id,
    DROP CONSTRAINT orders_id_needs_method,
    DROP CONSTRAINT orders_final_is_settled,
    DROP CONSTRAINT orders_two_step_attempts,
    DROP COLUMN crashes,
    DROP COLUMN attempts_two_step,
    DROP COLUMN waiting_since;
UPDATE orders SET payment_id = NULL WHERE payment_id IS NOT NULL AND payment_status <> 'charged';
UPDATE orders SET payment_status = 'pending' WHERE payment_status = 'cancelled';
UPDATE orders SET failure_code = 'internal_error' WHERE failure_code IN ('payment_deadline', 'worker_crashed');
ALTER TABLE orders
    ADD CONSTRAINT orders_payment_status_check
        CHECK (payment_status IN ('not_required', 'pending', 'charged', 'refused')),
    ADD CONSTRAINT orders_charge_has_id
        CHECK ((payment_id IS NOT NULL) = (payment_status = 'charged'));

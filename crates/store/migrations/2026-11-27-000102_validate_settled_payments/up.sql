-- Every row of release 0.1 satisfies these. One scan, beside which orders are read and written.
ALTER TABLE orders
    VALIDATE CONSTRAINT orders_payment_status_check,
    VALIDATE CONSTRAINT orders_charge_has_id,
    VALIDATE CONSTRAINT orders_id_needs_method,
    VALIDATE CONSTRAINT orders_two_step_attempts;

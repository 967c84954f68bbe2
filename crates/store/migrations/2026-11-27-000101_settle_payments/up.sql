-- Payments in two steps: the gateway's id of a payment is stored before money can move, and a final order's
-- payment is settled. NOT VALID: rows of release 0.1 are not checked here, which would lock the table for a
-- whole scan. The next migration validates what holds for them; orders_final_is_settled is validated once
-- they are settled.
ALTER TABLE orders
    -- Workers in a row that died while they held the order.
    ADD COLUMN crashes           integer     NOT NULL DEFAULT 0,
    -- Attempts of versions that store payment_id before money can move. Where it is less than `attempt`,
    -- release 0.1 attempted the order, and may have charged it without a trace here.
    ADD COLUMN attempts_two_step integer     NOT NULL DEFAULT 0,
    -- Since when the order waits for an unavailable gateway.
    ADD COLUMN waiting_since     timestamptz,

    DROP CONSTRAINT orders_payment_status_check,
    DROP CONSTRAINT orders_charge_has_id,
    ADD CONSTRAINT orders_payment_status_check
        CHECK (payment_status IN ('not_required', 'pending', 'charged', 'refused', 'cancelled')) NOT VALID,
    ADD CONSTRAINT orders_charge_has_id
        CHECK (payment_status <> 'charged' OR payment_id IS NOT NULL) NOT VALID,
    ADD CONSTRAINT orders_id_needs_method
        CHECK (payment_id IS NULL OR payment_method IS NOT NULL) NOT VALID,
    ADD CONSTRAINT orders_final_is_settled
        CHECK (payment_status <> 'pending' OR status IN ('pending', 'processing')) NOT VALID,
    ADD CONSTRAINT orders_two_step_attempts
        CHECK (attempts_two_step >= 0 AND attempts_two_step <= attempt) NOT VALID;

-- One row per order. Reliability rests on `dispatch_after`: the order must be dispatched (again) at or after
-- that time; NULL means that it is final. Columns of fixed width come first, which saves padding.
CREATE TABLE orders (
    id                    uuid        PRIMARY KEY,
    amount                bigint      NOT NULL CHECK (amount > 0),
    created_at            timestamptz NOT NULL DEFAULT now(),
    updated_at            timestamptz NOT NULL DEFAULT now(),
    dispatch_after        timestamptz,
    completed_at          timestamptz,
    attempt               integer     NOT NULL DEFAULT 0,
    attempts_forgiven     integer     NOT NULL DEFAULT 0,
    payments_refused      integer     NOT NULL DEFAULT 0,
    customer              text        NOT NULL CHECK (customer <> ''),
    currency              text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    status                text        NOT NULL DEFAULT 'pending'
        CHECK (status IN ('pending', 'processing', 'completed', 'failed', 'cancelled')),
    payment_method        text        CHECK (payment_method IN ('credit_card', 'debit_card', 'paypal')),
    payment_token         text,
    payment_status        text        NOT NULL
        CHECK (payment_status IN ('not_required', 'pending', 'charged', 'refused')),
    payment_id            text,
    failure_code          text,
    failure_detail        text,
    -- A snapshot of the time of ordering, never changed: [{"product_name", "quantity", "unit_price_minor"}]
    items                 jsonb       NOT NULL CHECK (jsonb_typeof(items) = 'array'),
    -- The W3C trace contexts of the request that created the order, and of the latest attempt.
    trace_context         jsonb       NOT NULL DEFAULT '{}',
    attempt_trace_context jsonb,

    CONSTRAINT orders_due_until_final
        CHECK ((dispatch_after IS NULL) = (status IN ('completed', 'failed', 'cancelled'))),
    CONSTRAINT orders_completed_when_final
        CHECK ((completed_at IS NOT NULL) = (status IN ('completed', 'failed', 'cancelled'))),
    CONSTRAINT orders_attempts_count_up
        CHECK (attempts_forgiven >= 0 AND attempts_forgiven <= attempt),
    CONSTRAINT orders_paid_as_asked
        CHECK ((payment_method IS NULL) = (payment_status = 'not_required')),
    CONSTRAINT orders_charge_has_id
        CHECK ((payment_id IS NOT NULL) = (payment_status = 'charged')),
    CONSTRAINT orders_completed_is_paid
        CHECK (status <> 'completed' OR payment_status IN ('not_required', 'charged')),
    CONSTRAINT orders_failure_has_both
        CHECK ((failure_code IS NULL) = (failure_detail IS NULL)),
    CONSTRAINT orders_failed_says_why
        CHECK (status <> 'failed' OR failure_code IS NOT NULL)
);

-- Due orders, for the reconciler. Final orders are not in it.
CREATE INDEX orders_due ON orders (dispatch_after) WHERE dispatch_after IS NOT NULL;
-- A customer's orders, newest first. Ascending and read backwards: ids grow, so new entries go to the right
-- edge, where pages are filled instead of split.
CREATE INDEX orders_of_customer ON orders (customer, id);
-- The same for one status; and, by its first column, the few orders of a rare status among all customers'.
CREATE INDEX orders_by_status ON orders (status, customer, id);

-- Every order is soon updated twice, and both updates change indexed columns, so none is HOT. The fillfactor
-- stays 100: at 85, the heap was measured to grow twice as large for 3 % less WAL. Frequent vacuums reuse the
-- space of old versions, and keep the left edge of orders_due, where every reconciler starts, free of dead
-- entries.
ALTER TABLE orders SET (
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_insert_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.02
);

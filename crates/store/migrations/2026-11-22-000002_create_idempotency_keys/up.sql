-- One row a request that came with an Idempotency-Key, written by the statement that writes its order, so neither is ever there
-- without the other. The first answer is not kept: what it said of the order is in the order's row, in columns that never change.
CREATE TABLE idempotency_keys (
    created_at  timestamptz NOT NULL DEFAULT now(),
    order_id    uuid        NOT NULL,
    customer    text        NOT NULL,
    key         text        NOT NULL CHECK (key ~ '^[!-~]{1,255}$'),
    -- SHA-256 of what was asked for.
    fingerprint bytea       NOT NULL CHECK (octet_length(fingerprint) = 32),

    PRIMARY KEY (customer, key)
);

-- For the clean-up, which deletes the oldest.
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

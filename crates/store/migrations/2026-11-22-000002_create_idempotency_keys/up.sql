-- One row per request with an Idempotency-Key, written by the statement that writes its order, so neither
-- exists without the other. The first response is not stored: it is made from columns of the order that never
-- change.
CREATE TABLE idempotency_keys (
    created_at  timestamptz NOT NULL DEFAULT now(),
    order_id    uuid        NOT NULL,
    customer    text        NOT NULL,
    key         text        NOT NULL CHECK (key ~ '^[!-~]{1,255}$'),
    -- SHA-256 of the request.
    fingerprint bytea       NOT NULL CHECK (octet_length(fingerprint) = 32),

    PRIMARY KEY (customer, key)
);

-- For the clean-up, which deletes the oldest keys.
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

-- The algorithm of a fingerprint. Release 0.1 stores version 1 without naming it.
ALTER TABLE idempotency_keys ADD COLUMN fingerprint_version smallint NOT NULL DEFAULT 1;

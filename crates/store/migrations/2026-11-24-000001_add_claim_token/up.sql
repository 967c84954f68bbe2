-- Drawn by whoever claims, so that a claim whose answer was lost is recognised when it is asked for again. For two days the table was
-- created with this column.
ALTER TABLE orders ADD COLUMN IF NOT EXISTS claim_token uuid;

-- Drawn by whoever claims, so that a claim whose answer was lost is recognised when it is asked for again. Some
-- tables were created with this column already.
ALTER TABLE orders ADD COLUMN IF NOT EXISTS claim_token uuid;

-- Drawn for each claim, so that a claim whose response was lost is recognized when it is repeated. Some
-- databases have the column already.
ALTER TABLE orders ADD COLUMN IF NOT EXISTS claim_token uuid;

ALTER TABLE orders DROP COLUMN claim_token;

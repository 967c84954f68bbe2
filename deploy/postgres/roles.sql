-- Two roles for one database: throughline_migrate owns the schema and changes it, throughline_serve reads and writes
-- rows. `throughline-api migrate` connects as the first, everything else as the second: the api, the workers, and the
-- commands prune and erase.
--
-- Run it in the database, as a role that may create roles, before the first migration; it may run again:
--   psql --set=ON_ERROR_STOP=1 --dbname=throughline --file=deploy/postgres/roles.sql
-- Then set the passwords, without writing them into a log: \password throughline_migrate, \password throughline_serve
--
-- A database that one role has served so far: let throughline_migrate own its tables, then run this.
--   CREATE ROLE throughline_migrate LOGIN; REASSIGN OWNED BY throughline TO throughline_migrate;

DO $$
DECLARE role text;
BEGIN
    FOREACH role IN ARRAY ARRAY['throughline_migrate', 'throughline_serve'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
            EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION', role);
        END IF;
    END LOOP;
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO throughline_migrate, throughline_serve', current_database());
END $$;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO throughline_migrate;
GRANT USAGE ON SCHEMA public TO throughline_serve;

-- Only a member of a role may decide what that role's tables allow.
GRANT throughline_migrate TO CURRENT_USER;

-- The tables of today, and those that later migrations create. No TRUNCATE, no REFERENCES, no TRIGGER.
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO throughline_serve;
ALTER DEFAULT PRIVILEGES FOR ROLE throughline_migrate IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO throughline_serve;
-- Triggers run without this right.
ALTER DEFAULT PRIVILEGES FOR ROLE throughline_migrate REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

-- Which migrations are applied: the programs read it, and must not change it. The migration would create it with the
-- rights above.
SET ROLE throughline_migrate;
CREATE TABLE IF NOT EXISTS __diesel_schema_migrations (
    version VARCHAR(50) PRIMARY KEY NOT NULL,
    run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
);
REVOKE INSERT, UPDATE, DELETE ON __diesel_schema_migrations FROM throughline_serve;
RESET ROLE;

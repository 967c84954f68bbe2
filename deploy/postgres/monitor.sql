-- The role of the collector's receiver (deploy/collector/observability.yaml): it reads statistics, and no order.
-- Run it as a superuser, then set the password: \password throughline_monitor
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'throughline_monitor') THEN
        CREATE ROLE throughline_monitor LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION CONNECTION LIMIT 4;
    END IF;
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO throughline_monitor', current_database());
END $$;
GRANT pg_monitor TO throughline_monitor;

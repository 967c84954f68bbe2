#!/bin/sh
# Runs once, when the volume is new: creates the roles of deploy/postgres and sets their passwords.
set -eu
psql --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" --file=/roles.sql
psql --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" --file=/monitor.sql
psql --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" --set=password="$SERVICE_PASSWORD" <<'SQL'
ALTER ROLE throughline_migrate PASSWORD :'password';
ALTER ROLE throughline_serve PASSWORD :'password';
ALTER ROLE throughline_monitor PASSWORD :'password';
SQL

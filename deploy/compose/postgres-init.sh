#!/bin/sh
# Runs once, when the volume is new: creates the two roles of deploy/postgres/roles.sql and sets their passwords.
set -eu
psql --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" --file=/roles.sql
psql --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" --set=password="$SERVICE_PASSWORD" <<'SQL'
ALTER ROLE throughline_migrate PASSWORD :'password';
ALTER ROLE throughline_serve PASSWORD :'password';
SQL

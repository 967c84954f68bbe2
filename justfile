# Short names for `cargo xtask`. Arguments pass through: `just order --amount 1500 --payment credit_card --watch`.

[private]
default:
    @just --list

# Start everything; Ctrl-C stops it. --detach returns once all is ready, --release builds with optimizations
up *arguments:
    cargo xtask up {{ arguments }}

# Stop what `up` started; --clean deletes its data
down *arguments:
    cargo xtask down {{ arguments }}

# Format, lints, and all tests against real servers: what CI runs
test:
    cargo xtask test

# Package the crates for others, and build a service with them
package:
    cargo xtask package

# Check the telemetry of a run against the contract, and print how often each row was seen
telemetry-check:
    cargo xtask telemetry-check

# Send orders under faults, and prove that none was lost or charged twice; --short takes a minute
chaos *arguments:
    cargo xtask chaos {{ arguments }}

# Inject faults beside a real Prometheus, and check that exactly their alerts fire; --short takes a minute
drill *arguments:
    cargo xtask drill {{ arguments }}

# Attack an api, and measure what an ordinary client notices
siege *arguments:
    cargo xtask siege {{ arguments }}

# Check every response of the api against its OpenAPI document, with requests that schemathesis generates
fuzz-api *arguments:
    cargo xtask fuzz-api {{ arguments }}

# Measure what the product does, and what tracing costs it
bench *arguments:
    cargo xtask bench {{ arguments }}

# Write the pictures of the documents, in a real browser
screenshots:
    cargo xtask screenshots

# Write Grafana's dashboards from their source
dashboards *arguments:
    cargo xtask dashboards {{ arguments }}

# Write the Helm chart from the manifests of Kubernetes
chart *arguments:
    cargo xtask chart {{ arguments }}

# Write the registry of spans, metrics and events from the telemetry contract
registry *arguments:
    cargo xtask registry {{ arguments }}

# Print a signed token for local use
token *arguments:
    cargo xtask token {{ arguments }}

# Create an order; --watch waits for its final state
order *arguments:
    cargo xtask order {{ arguments }}

# Show rates, backlog, failures and workers of the running stack, live
top *arguments:
    cargo xtask top {{ arguments }}

# Print the trace of an order (or of a trace id)
trace id:
    cargo xtask trace {{ id }}

# List traces, newest first: just traces 'http.route=/api/orders error'
[positional-arguments]
traces *words:
    cargo xtask traces "$@"

# List log records: just logs 'level>=warn declined'
[positional-arguments]
logs *words:
    cargo xtask logs "$@"

# Apply migrations to DATABASE_URL, or to the database of the running stack
migrate:
    cargo xtask migrate

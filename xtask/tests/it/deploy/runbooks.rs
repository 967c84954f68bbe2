//! Runbooks lead to files that exist, their queries name what exists, and their statements run.

use std::fs;
use std::path::PathBuf;

use tokio_postgres::NoTls;

use super::names::Series;
use super::{files, root};

/// The blocks of a language in a page.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let start = format!("```{language}\n");
    let blocks = page.split(start.as_str()).skip(1);
    blocks.filter_map(|rest| rest.split("```").next()).collect()
}

fn pages() -> impl Iterator<Item = (String, String)> {
    files("docs/runbooks", "md").into_iter().map(|path: PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(path).unwrap())
    })
}

pub(super) fn queries() -> Vec<String> {
    let owned = |query: &str| query.trim().to_owned();
    pages()
        .flat_map(|(_, page)| blocks(&page, "promql").into_iter().map(owned).collect::<Vec<_>>())
        .collect()
}

#[test]
fn no_query_of_a_runbook_names_what_does_not_exist() {
    let known = Series::known();
    let mut found = Vec::new();
    for (name, page) in pages() {
        for query in blocks(&page, "promql") {
            let unknown = known.unknown(query);
            found.extend(unknown.into_iter().map(|what| format!("{name}: {what}")));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_page_is_of_an_alert_and_answers_the_same_questions() {
    let rules =
        super::read("deploy/prometheus/rules/alerts.yaml") + &super::read("deploy/prometheus/rules/slo.yaml");
    for (name, page) in pages().filter(|(name, _)| name != "README.md") {
        let alert = name.strip_suffix(".md").unwrap();
        assert!(
            rules.contains(&format!("- alert: {alert}\n")),
            "{alert} is no alert"
        );
        for heading in [
            "What it means",
            "What the customer sees",
            "What to look at",
            "What to do",
            "When it ends",
        ] {
            assert!(page.contains(&format!("\n## {heading}\n")), "{name}: {heading}");
        }
    }
}

/// Against the schema of all migrations, without rows.
#[tokio::test]
async fn every_statement_of_a_runbook_and_of_the_collector_runs() {
    let server = testkit::Postgres::start().await.unwrap();
    let (client, connection) = tokio_postgres::connect(&server.url(), NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    client.batch_execute("CREATE ROLE throughline").await.unwrap();
    let mut migrations: Vec<PathBuf> = fs::read_dir(root().join("crates/store/migrations"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    migrations.sort();
    for migration in migrations {
        let sql = fs::read_to_string(migration.join("up.sql")).unwrap();
        let applied = client.batch_execute(&sql).await;
        applied.unwrap_or_else(|error| panic!("{}: {error:?}", migration.display()));
    }
    let table = "CREATE TABLE __diesel_schema_migrations (version text, run_on timestamp)";
    client.batch_execute(table).await.unwrap();
    let monitor = super::read("deploy/postgres/monitor.sql");
    client.batch_execute(&monitor).await.unwrap();
    let mut statements = Vec::new();
    for (name, page) in pages() {
        statements.extend(
            blocks(&page, "sql")
                .into_iter()
                .map(|sql| (name.clone(), sql.to_owned())),
        );
    }
    let collector = super::yaml(&super::read("deploy/collector/observability.yaml"));
    for query in super::list(&collector["receivers"]["sqlquery/postgresql"]["queries"]) {
        statements.push(("collector".to_owned(), super::text(&query["sql"]).to_owned()));
    }
    for (name, sql) in statements {
        let ran = client.simple_query(&sql).await;
        assert!(ran.is_ok(), "{name}: {sql}: {ran:?}");
    }
    drop(client);
    connection.await.unwrap().unwrap();
}

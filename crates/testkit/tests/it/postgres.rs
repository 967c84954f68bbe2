use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};

use testkit::{Postgres, database};

#[tokio::test]
async fn a_test_sees_no_tables_of_another_and_leaves_none_behind() {
    let (mine, other) = (database().await.unwrap(), database().await.unwrap());
    mine.connect()
        .await
        .unwrap()
        .batch_execute("CREATE TABLE orders (id int)")
        .await
        .unwrap();

    let seen = other
        .connect()
        .await
        .unwrap()
        .query_one("SELECT count(*) FROM pg_tables WHERE tablename = 'orders'", &[])
        .await
        .unwrap();
    assert_eq!(seen.get::<_, i64>(0), 0);

    let name = mine.url().rsplit('/').next().unwrap().to_owned();
    let still_connected = mine.connect().await.unwrap();
    drop(mine);
    let left = other
        .connect()
        .await
        .unwrap()
        .query("SELECT 1 FROM pg_database WHERE datname = $1", &[&name])
        .await
        .unwrap();
    assert!(left.is_empty(), "{name} still exists");
    drop(still_connected);
}

#[tokio::test]
async fn committed_rows_survive_a_stop_and_a_kill() {
    let mut cluster = Postgres::start().await.unwrap();
    let database = cluster.database().await.unwrap();
    let client = database.connect().await.unwrap();
    client
        .batch_execute("CREATE TABLE stored (id int); INSERT INTO stored VALUES (1)")
        .await
        .unwrap();
    let url = database.url().to_owned();

    cluster.stop().await.unwrap();
    assert!(
        database.connect().await.is_err(),
        "a stopped cluster accepts connections"
    );
    cluster.restart().await.unwrap();
    database
        .connect()
        .await
        .unwrap()
        .batch_execute("INSERT INTO stored VALUES (2)")
        .await
        .unwrap();

    cluster.kill().await.unwrap();
    cluster.restart().await.unwrap();
    assert_eq!(database.url(), url, "the port changed");
    let rows = database
        .connect()
        .await
        .unwrap()
        .query_one("SELECT count(*) FROM stored", &[])
        .await
        .unwrap();
    assert_eq!(rows.get::<_, i64>(0), 2);
}

/// Whether the role could run programs on the machine.
const RIGHTS: &str = "SELECT rolsuper OR pg_has_role(rolname, 'pg_execute_server_program', 'member') \
     FROM pg_roles WHERE rolname = current_user";

#[tokio::test]
async fn a_persistent_cluster_requires_a_password_and_finds_its_data_again() {
    let folder = std::env::temp_dir().join(format!("throughline-persistent-{}", std::process::id()));
    let first = Postgres::start_persistent(&folder, None).await.unwrap();
    let url = first.ensure_database("throughline").await.unwrap();
    assert_eq!(
        first.ensure_database("throughline").await.unwrap(),
        url,
        "the second call creates no second database"
    );
    let (address, data) = (first.url(), first.folder().to_owned());
    let (_, address) = address.split_once('@').unwrap();
    for role in ["postgres", "throughline", "postgres:wrong"] {
        let url = format!("postgres://{role}@{address}");
        let refused = tokio_postgres::connect(&url, tokio_postgres::NoTls).await;
        assert!(refused.is_err(), "{role} connects without the password");
    }
    let programs = connect(&url).await;
    let rights = programs.query_one(RIGHTS, &[]).await.unwrap();
    assert!(!rights.get::<_, bool>(0), "the programs' role is a superuser");
    for file in ["password", "superuser.password"] {
        let mode = std::fs::metadata(data.join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    stop(first).await;

    let second = Postgres::start_persistent(&folder, None).await.unwrap();
    let client = connect(&second.url()).await;
    let found = client
        .query("SELECT 1 FROM pg_database WHERE datname = 'throughline'", &[])
        .await
        .unwrap();
    stop(second).await;
    std::fs::remove_dir_all(data).unwrap();
    assert_eq!(found.len(), 1);
}

#[tokio::test]
async fn data_below_a_closed_folder_goes_where_its_user_can_reach_it() {
    let closed = std::env::temp_dir().join(format!("throughline-closed-{}", std::process::id()));
    DirBuilder::new().mode(0o700).create(&closed).unwrap();
    let folder = closed.join("postgres");
    let cluster = Postgres::start_persistent(&folder, None).await.unwrap();
    // Only root runs PostgreSQL as another user, to whom the folder is closed.
    let elsewhere = cluster.folder() != folder;
    assert_eq!(elsewhere, rustix::process::geteuid().is_root());

    let data = cluster.folder().to_owned();
    stop(cluster).await;
    Postgres::delete_persistent(&folder).unwrap();
    assert!(!data.exists());
    std::fs::remove_dir_all(closed).unwrap();
}

async fn stop(mut cluster: Postgres) {
    cluster.stop().await.unwrap();
}

async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

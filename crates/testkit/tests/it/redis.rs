use std::time::Duration;

use ::redis::AsyncCommands;
use testkit::{Redis, eventually, redis};

#[tokio::test]
async fn the_shared_server_is_reachable_and_cannot_be_stopped() {
    let mut shared = redis().await.unwrap();
    let mut connection = shared.connect().await.unwrap();
    let key = format!("testkit:{}", std::process::id());
    let _: () = connection.set_ex(&key, 1, 60).await.unwrap();
    assert_eq!(redis().await.unwrap().url(), shared.url());
    assert!(shared.stop().await.unwrap_err().to_string().contains("shared"));
}

#[tokio::test]
async fn data_survives_a_stop_and_a_kill_on_the_same_port() {
    let mut server = Redis::start().await.unwrap();
    let url = server.url().to_owned();
    let _: () = server.connect().await.unwrap().set("a", 1).await.unwrap();

    server.stop().await.unwrap();
    assert!(
        server.connect().await.is_err(),
        "a stopped server accepts connections"
    );
    server.restart().await.unwrap();
    let _: () = server.connect().await.unwrap().set("b", 2).await.unwrap();

    server.kill().await.unwrap();
    server.restart().await.unwrap();
    assert_eq!(server.url(), url);
    let stored: (i32, i32) = server.connect().await.unwrap().mget(&["a", "b"]).await.unwrap();
    assert_eq!(stored, (1, 2));
}

#[tokio::test]
async fn a_paused_server_sends_no_response_until_it_continues() {
    let server = Redis::start().await.unwrap();
    let connection = server.connect().await.unwrap();
    let unanswered = || async {
        let mut connection = connection.clone();
        let response = connection.get::<_, Option<i32>>("a");
        tokio::time::timeout(Duration::from_millis(100), response)
            .await
            .is_err()
            .then_some(())
    };
    // The pause outlasts the test; dropping its future lets the server continue.
    tokio::select! {
        paused = server.pause(Duration::from_secs(600)) => panic!("the pause ended: {paused:?}"),
        () = eventually("a request without a response", Duration::from_secs(60), unanswered) => {}
    }
    eventually("a response after the pause", Duration::from_secs(60), || {
        let mut connection = connection.clone();
        async move { connection.get::<_, Option<i32>>("a").await.ok() }
    })
    .await;
}

#[tokio::test]
async fn a_persistent_server_requires_a_password() {
    let folder = std::env::temp_dir().join(format!("throughline-redis-{}", std::process::id()));
    let mut server = Redis::start_persistent(&folder, None).await.unwrap();
    let (_, address) = server.url().rsplit_once('@').unwrap();
    let open = ::redis::Client::open(format!("redis://{address}")).unwrap();
    let refused = match open.get_multiplexed_async_connection().await {
        Ok(mut connection) => connection.get::<_, Option<i32>>("a").await.is_err(),
        Err(_) => true,
    };
    assert!(refused, "a client without a password reads");
    let _: () = server.connect().await.unwrap().set("a", 1).await.unwrap();
    server.stop().await.unwrap();
    std::fs::remove_dir_all(folder).unwrap();
}

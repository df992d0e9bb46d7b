//! What a store says to a database it cannot use: what is wrong, and what to do.

use storage::{OpenError, Store};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::fixture::{Fixture, close};
use crate::postgres::server::{self, Server, execute};

/// Opens a store that must be refused, and checks that the refusal says all of `words`.
async fn refused(url: &str, words: &[&str]) {
    let fixture = Fixture::node(url, 1);
    let refusal = Store::open(fixture.options.clone()).await.expect_err("the store must not open");
    assert!(matches!(refusal, OpenError::Database { .. }), "{refusal:?}");
    let text = refusal.to_string();
    for word in words {
        assert!(text.contains(word), "{word:?} is not in: {text}");
    }
    assert!(!text.contains("open-sesame"), "a password is in: {text}");
}

#[tokio::test]
async fn a_url_that_cannot_be_used_is_refused_without_showing_its_password() {
    refused("postgres://me:open-sesame@host:notaport/db", &["storage.url", "postgres://user:password@host/database"])
        .await;
    refused("postgres://me:open-sesame@host/db?sslmode=verify-full", &["storage.url"]).await;
    refused("postgres://me:open-sesame@host/db?sslmode=require", &["does not encrypt", "Unix socket"]).await;
    refused("dbname=here", &["names no host"]).await;
}

#[tokio::test]
async fn a_server_that_is_away_is_named() {
    refused("postgres://holdfast@%2Fnowhere/test", &["connecting to the database failed", "start the database server"])
        .await;
    refused("postgres://holdfast@127.0.0.1:1/test", &["refused", "start the database server"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_a_missing_database_and_a_missing_right_are_told_apart() {
    let Some(server) = server::shared() else { return };
    let url = server.new_database();
    let database = url.rsplit('/').next().unwrap();
    server.execute("postgres", "CREATE ROLE secretive LOGIN PASSWORD 'right'; CREATE ROLE poor LOGIN");
    refused(&server.url("secretive:open-sesame", database), &["password", "correct the user and password"]).await;
    refused(&server.url("secretive", database), &["password"]).await;
    refused(&server.url("holdfast", "no_such_database"), &["no_such_database", "CREATE DATABASE"]).await;
    refused(&server.url("poor", database), &["permission denied", "grant it CREATE"]).await;
    // An owner may, also without being a superuser, and again when nothing is left to make.
    server.execute("postgres", &format!("ALTER DATABASE {database} OWNER TO poor"));
    let fixture = Fixture::node(&server.url("poor", database), 1);
    close(fixture.open().await).await;
    server.execute("postgres", &format!("ALTER DATABASE {database} OWNER TO holdfast"));
    fixture.open().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_database_a_newer_format_and_tables_of_somebody_else_are_refused() {
    let Some(server) = server::shared() else { return };
    let url = server.new_database();
    let database = url.rsplit('/').next().unwrap();
    server.execute("postgres", &format!("ALTER DATABASE {database} SET default_transaction_read_only = on"));
    refused(&url, &["takes no writes", "point storage.url at the server that takes writes"]).await;
    server.execute("postgres", &format!("ALTER DATABASE {database} RESET default_transaction_read_only"));
    let fixture = Fixture::node(&url, 1);
    close(fixture.open().await).await;
    execute(&url, "UPDATE holdfast.meta SET value = '99' WHERE name = 'format'").unwrap();
    refused(&url, &["format 99", "run the newer release"]).await;
    execute(
        &url,
        "UPDATE holdfast.meta SET value = '1' WHERE name = 'format'; UPDATE holdfast.partition SET head = 7 \
                   WHERE partition = 3",
    )
    .unwrap();
    refused(&url, &["the log of partition 3 ends at 0, its head says 7", "damaged"]).await;
    execute(
        &url,
        "UPDATE holdfast.partition SET head = 0 WHERE partition = 3; INSERT INTO holdfast.meta VALUES ('importing', '')",
    )
    .unwrap();
    refused(&url, &["a restore or conversion that is under way or was cut off", "drop the schema"]).await;
    execute(&url, "DROP SCHEMA holdfast CASCADE; CREATE SCHEMA holdfast; CREATE TABLE holdfast.thesis (page int)")
        .unwrap();
    refused(&url, &["is not ours", "a database of its own"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_keep_what_it_acknowledges_is_refused_or_told_to() {
    let Some(server) = Server::start() else { return };
    let url = server.new_database();
    server.execute("postgres", "ALTER SYSTEM SET synchronous_commit = off");
    server.execute("postgres", "ALTER SYSTEM SET fsync = off");
    server.execute("postgres", "SELECT pg_reload_conf(), pg_sleep(0.3)");
    refused(&url, &["fsync = off", "set fsync = on"]).await;
    server.execute("postgres", "ALTER SYSTEM RESET fsync");
    server.execute("postgres", "SELECT pg_reload_conf(), pg_sleep(0.3)");
    // A session of ours waits for its own commits, whatever the server's default: nothing to refuse.
    Fixture::node(&url, 1).open().await;
}

/// Says what a server of version 14 says until it is ready for a query.
#[tokio::test]
async fn an_old_server_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    base::task::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut startup = [0; 1_024];
        assert!(client.read(&mut startup).await.unwrap() > 0);
        client.write_all(b"R\0\0\0\x08\0\0\0\0S\0\0\0\x18server_version\x0014.9\0Z\0\0\0\x05I").await.unwrap();
        let _ = client.read(&mut startup).await;
    });
    refused(&format!("postgres://holdfast@127.0.0.1:{port}/test"), &["PostgreSQL \"14.9\"", "15 or newer"]).await;
}

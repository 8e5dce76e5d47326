//! The embedded engine as real clients use it: the `clickhouse` crate and clickhouse-connect (PyPI).

mod embedded_support;

use std::path::Path;
use std::process::Command;

use clickhouse::Row;
use embedded_support::{Db, libchdb_present};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Row, Serialize, Deserialize)]
struct Update {
    at: i64,
    peer_asn: u32,
    prefix: String,
    path: Vec<u32>,
    lost: Option<u8>,
}

fn update(n: u32) -> Update {
    let prefix = format!("10.{}.{}.0/24", n / 256 % 256, n % 256);
    Update {
        at: i64::from(n) * 1_000,
        peer_asn: n % 50,
        prefix,
        path: vec![n % 50, 3356, n],
        lost: n.is_multiple_of(3).then_some(1),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clickhouse_crate_binds_inserts_and_streams() {
    if !libchdb_present("the_clickhouse_crate_binds_inserts_and_streams") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let db = Db::start(dir.path());
    let client = db.client();
    let version: String = client.query("SELECT version()").fetch_one().await.unwrap();
    assert_eq!(version, db.bound.version);
    let create = "CREATE TABLE updates (at Int64, peer_asn UInt32, prefix String, path Array(UInt32), \
                  lost Nullable(UInt8)) ENGINE = MergeTree ORDER BY (prefix, at)";
    client.query(create).execute().await.unwrap();

    let mut insert = client.insert::<Update>("updates").await.unwrap();
    for n in 0..200_000 {
        insert.write(&update(n)).await.unwrap();
    }
    insert.end().await.unwrap();
    let count: u64 = client
        .query("SELECT count() FROM updates WHERE peer_asn = ?")
        .bind(7_u32)
        .fetch_one()
        .await
        .unwrap();
    assert_eq!(count, 4_000);
    let text = "it's a \\ \t tab";
    let back: String = client
        .query("SELECT {x:String}")
        .param("x", text)
        .fetch_one()
        .await
        .unwrap();
    assert_eq!(back, text);

    let mut cursor = client
        .query("SELECT ?fields FROM updates ORDER BY at")
        .fetch::<Update>()
        .unwrap();
    let mut seen = 0;
    while let Some(row) = cursor.next().await.unwrap() {
        assert_eq!(row, update(seen));
        seen += 1;
    }
    assert_eq!(seen, 200_000);

    let error = client
        .query("SELECT * FROM nowhere")
        .execute()
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("Code: 60. DB::Exception") && error.contains("UNKNOWN_TABLE"),
        "{error}"
    );
    let late = "SELECT toUInt8(throwIf(number = 5000000)) AS x FROM numbers(6000000)";
    let mut cursor = client.query(late).fetch::<u8>().unwrap();
    let error = loop {
        match cursor.next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("a failed query ended as if it were whole"),
            Err(error) => break error.to_string(),
        }
    };
    assert!(error.contains("Code: 395."), "{error}");
    let wrong = client
        .clone()
        .with_password("wrong")
        .query("SELECT 1")
        .execute()
        .await
        .unwrap_err()
        .to_string();
    assert!(wrong.contains("Code: 516."), "{wrong}");
}

#[test]
fn clickhouse_connect_inserts_and_queries() {
    let test = "clickhouse_connect_inserts_and_queries";
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = here.join("../../.netfault/venv/bin/python");
    if !python.exists() {
        println!("SKIPPED: {test}: no Python environment, see scripts/venv.sh");
        eprintln!("SKIPPED: {test}: no Python environment, see scripts/venv.sh");
        return;
    }
    if !libchdb_present(test) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let db = Db::start(dir.path());
    let port = db.address().rsplit(':').next().unwrap();
    let script = here.join("tests/embedded_clients.py");
    let output = Command::new(python)
        .arg(script)
        .args([port, &db.bound.user, &db.bound.password])
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success() && out.ends_with("ok\n"), "{out}{err}");
}

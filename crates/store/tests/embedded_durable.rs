//! The embedded engine under the writer's load and under fire: Native inserts with LZ4, tokens, SIGKILL, supervision.

mod embedded_support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use embedded_support::{Db, db_serve, libchdb_present};
use netfault_store::embedded::{Health, Supervised, SupervisedOptions};

const CREATE: &str = "CREATE TABLE u (at DateTime64(6, 'UTC') CODEC(Delta, ZSTD), peer_asn UInt32, prefix String, \
    path Array(UInt32)) ENGINE = MergeTree ORDER BY (prefix, at) SETTINGS non_replicated_deduplication_window = 1000";

fn varuint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn string(out: &mut Vec<u8>, text: &str) {
    varuint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// One Native block of `rows` rows from number `first` on, packed as one LZ4 block.
fn native_block(first: u64, rows: u64) -> Vec<u8> {
    let (mut out, range) = (Vec::new(), first..first + rows);
    varuint(&mut out, 4);
    varuint(&mut out, rows);
    string(&mut out, "at");
    string(&mut out, "DateTime64(6, 'UTC')");
    range
        .clone()
        .for_each(|n| out.extend_from_slice(&(1_200_000_000_000_000 + n * 37).to_le_bytes()));
    string(&mut out, "peer_asn");
    string(&mut out, "UInt32");
    range
        .clone()
        .for_each(|n| out.extend_from_slice(&(n as u32 % 40 + 3000).to_le_bytes()));
    string(&mut out, "prefix");
    string(&mut out, "String");
    range
        .clone()
        .for_each(|n| string(&mut out, &format!("84.{}.{}.0/24", n * 7 % 250, n * 13 % 256)));
    string(&mut out, "path");
    string(&mut out, "Array(UInt32)");
    (1..=rows).for_each(|n| out.extend_from_slice(&(n * 4).to_le_bytes()));
    for n in range {
        [n % 40 + 3000, 3356, n * 7 % 5000, n * 11 % 30000]
            .iter()
            .for_each(|&asn| out.extend_from_slice(&(asn as u32).to_le_bytes()));
    }
    let packed = lz4_flex::block::compress(&out);
    let mut block = vec![0x82];
    block.extend_from_slice(&(packed.len() as u32 + 9).to_le_bytes());
    block.extend_from_slice(&(out.len() as u32).to_le_bytes());
    block.extend_from_slice(&packed);
    let sum = cityhash_rs::cityhash_102_128(&block)
        .rotate_right(64)
        .to_le_bytes();
    [&sum[..], &block[..]].concat()
}

/// POSTs a body to `INSERT INTO u` and returns the answer's status and text, or what the socket said.
fn insert(db: &Db, token: &str, body: &[u8]) -> std::io::Result<(u16, String)> {
    let mut socket = TcpStream::connect(db.address())?;
    let head = format!(
        "POST /?query=INSERT+INTO+u+FORMAT+Native&decompress=1&insert_deduplication_token={token} HTTP/1.1\r\n\
         Host: db\r\nConnection: close\r\nX-ClickHouse-User: {}\r\nX-ClickHouse-Key: {}\r\nContent-Length: {}\r\n\r\n",
        db.bound.user,
        db.bound.password,
        body.len()
    );
    socket.write_all(head.as_bytes())?;
    socket.write_all(body)?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    let status = answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or(0);
    Ok((status, answer))
}

#[test]
fn a_native_insert_that_is_sent_again_counts_once() {
    if !libchdb_present("a_native_insert_that_is_sent_again_counts_once") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let db = Db::start(dir.path());
    assert_eq!(db.sql(CREATE), "");
    db.sql(
        "CREATE TABLE per_peer (peer_asn UInt32, n UInt64) ENGINE = SummingMergeTree ORDER BY peer_asn \
            SETTINGS non_replicated_deduplication_window = 1000",
    );
    db.sql(
        "CREATE MATERIALIZED VIEW mv TO per_peer AS SELECT peer_asn, count() AS n FROM u GROUP BY peer_asn",
    );
    // More rows than one block of the engine, so that one insert makes several.
    let body: Vec<u8> = (0..40)
        .flat_map(|block| native_block(block * 65_536, 65_536))
        .collect();
    let rows = 40 * 65_536;
    let twice = native_block(0, 10);
    for _ in 0..3 {
        let (status, answer) = insert(&db, "segment-1", &body).unwrap();
        assert_eq!(status, 200, "{answer}");
    }
    assert_eq!(
        db.sql("SELECT count(), (SELECT sum(n) FROM per_peer) FROM u"),
        format!("{rows}\t{rows}")
    );
    assert_eq!(insert(&db, "segment-2", &twice).unwrap().0, 200);
    assert_eq!(insert(&db, "segment-3", &twice).unwrap().0, 200);
    let total = rows + 20;
    assert_eq!(
        db.sql("SELECT count(), (SELECT sum(n) FROM per_peer) FROM u"),
        format!("{total}\t{total}")
    );
    // The token outlives the process.
    assert_eq!(db.stop(), Some(0));
    let db = Db::start(dir.path());
    assert_eq!(insert(&db, "segment-1", &body).unwrap().0, 200);
    assert_eq!(
        db.sql("SELECT count(), (SELECT sum(n) FROM per_peer) FROM u"),
        format!("{total}\t{total}")
    );
}

#[test]
fn native_rows_go_in_fast_and_in_bounded_memory() {
    if !libchdb_present("native_rows_go_in_fast_and_in_bounded_memory") {
        return;
    }
    let rows: u64 = std::env::var("NETFAULT_BENCH_ROWS")
        .ok()
        .and_then(|rows| rows.parse().ok())
        .unwrap_or(500_000);
    let dir = tempfile::tempdir().unwrap();
    let db = Db::start(dir.path());
    db.sql(CREATE);
    let blocks = rows / 65_536 + 1;
    let body: Vec<u8> = (0..blocks)
        .flat_map(|block| native_block(block * 65_536, 65_536))
        .collect();
    let cpu = || -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", db.child.id())).unwrap();
        let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
    };
    let (since, cpu_before) = (Instant::now(), cpu());
    let (status, answer) = insert(&db, "one", &body).unwrap();
    let (wall, used) = (since.elapsed().as_secs_f64(), cpu() - cpu_before);
    assert_eq!(status, 200, "{answer}");
    let sent = blocks * 65_536;
    assert_eq!(db.sql("SELECT count() FROM u"), sent.to_string());
    let disk = db.sql("SELECT sum(bytes_on_disk) FROM system.parts WHERE table = 'u' AND active");
    println!(
        "{sent} rows, {} MB packed, in {wall:.2} s: {:.2} M rows/s, {used:.2} s of CPU, {:.1} bytes a row on disk, peak {} MB",
        body.len() >> 20,
        sent as f64 / wall / 1e6,
        disk.parse::<f64>().unwrap() / sent as f64,
        db.memory_mb("VmHWM:"),
    );
    assert!(db.memory_mb("VmHWM:") < 2000);
}

#[test]
fn a_server_killed_while_inserting_opens_again_with_what_it_confirmed() {
    if !libchdb_present("a_server_killed_while_inserting_opens_again_with_what_it_confirmed") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut confirmed = 0;
    for round in 0..4_u64 {
        let db = Db::start(dir.path());
        db.sql(&CREATE.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS"));
        let pid = db.child.id().to_string();
        std::thread::scope(|scope| {
            let db = &db;
            let writer = scope.spawn(move || {
                let mut done = 0;
                while insert(
                    db,
                    &format!("{round}-{done}"),
                    &native_block(done * 20_000, 20_000),
                )
                .is_ok_and(|(status, _)| status == 200)
                {
                    done += 1;
                }
                done
            });
            // SIGKILL once some are in, and another is under way.
            let since = Instant::now();
            while db.sql("SELECT count() FROM u").parse::<u64>().unwrap_or(0) <= confirmed * 20_000 {
                assert!(since.elapsed() < Duration::from_secs(60) && !writer.is_finished());
            }
            assert!(
                Command::new("kill")
                    .args(["-9", &pid])
                    .status()
                    .unwrap()
                    .success()
            );
            confirmed += writer.join().unwrap();
        });
        db.kill();
        let db = Db::start(dir.path());
        let rows: u64 = db.sql("SELECT count() FROM u").parse().unwrap();
        // The insert that was under way may be in as well, but whole or not at all.
        assert!(
            rows == confirmed * 20_000 || rows == (confirmed + 1) * 20_000,
            "round {round}: {rows}, confirmed {confirmed}"
        );
        confirmed = rows / 20_000;
        assert_eq!(
            db.sql("CHECK TABLE u SETTINGS check_query_single_value_result = 1"),
            "1"
        );
        assert_eq!(db.stop(), Some(0));
    }
    println!("4 times killed: {confirmed} inserts, none lost, none half");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_supervised_database_comes_back_at_the_same_address() {
    if !libchdb_present("a_supervised_database_comes_back_at_the_same_address") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut options = SupervisedOptions::new(dir.path());
    options.program = Some(db_serve());
    options.args.clear();
    let database = Supervised::start(options.clone()).await.unwrap();
    let client = clickhouse::Client::default()
        .with_url(database.url())
        .with_user(database.user())
        .with_password(database.password());
    client
        .query("CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a")
        .execute()
        .await
        .unwrap();
    client.query("INSERT INTO t VALUES (1)").execute().await.unwrap();
    let mut health = database.health();
    let Health::Up { pid, restarts: 0 } = health.borrow_and_update().clone() else {
        panic!("it is up")
    };
    assert!(
        Command::new("kill")
            .args(["-9", &pid.to_string()])
            .status()
            .unwrap()
            .success()
    );
    let back = health.wait_for(|health| matches!(health, Health::Up { restarts: 1.., .. }));
    let back = tokio::time::timeout(Duration::from_secs(60), back)
        .await
        .unwrap()
        .unwrap()
        .clone();
    let Health::Up { pid: second, .. } = back else {
        panic!("it is up again")
    };
    assert_ne!(pid, second);
    let count: u64 = client.query("SELECT count() FROM t").fetch_one().await.unwrap();
    assert_eq!(count, 1, "same address, same password, same data");
    let again = Supervised::start(options.clone())
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(
        again.contains("another process") && again.contains("already uses the database"),
        "{again}"
    );
    database.shutdown().await;
    assert!(
        !std::path::Path::new(&format!("/proc/{second}")).exists(),
        "it is gone after shutdown"
    );

    // Dropped without a shutdown, it follows all the same.
    let database = Supervised::start(options).await.unwrap();
    let Health::Up { pid, .. } = database.health().borrow().clone() else {
        panic!("it is up")
    };
    drop(database);
    let since = Instant::now();
    while std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(
            since.elapsed() < Duration::from_secs(30),
            "the child does not follow"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

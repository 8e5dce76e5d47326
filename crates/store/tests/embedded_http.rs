//! The embedded engine as curl sees it: protocol, errors, formats, packing, refusals, hostile bytes.

mod embedded_support;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use embedded_support::{Db, db_serve, exchange, libchdb_present};

fn text(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn curl_asks_and_is_answered_in_clickhouses_words() {
    if !libchdb_present("curl_asks_and_is_answered_in_clickhouses_words") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let db = Db::start(dir.path());
    assert_eq!(text(&db.curl("ping", &[])), "Ok.\n");
    assert_eq!(text(&db.curl("", &[])), "Ok.\n");
    assert_eq!(db.sql("SELECT version()"), db.bound.version);
    assert_eq!(text(&db.curl("?query=SELECT%201%2B1", &[])), "2\n");
    assert_eq!(
        text(&db.curl("?query=SELECT%201%2B", &["--data-binary", "2 AS x"])),
        "3\n"
    );

    let answer = text(&db.curl(
        "?default_format=JSONEachRow",
        &["-i", "--data-binary", "SELECT 1 AS x"],
    ));
    let lower = answer.to_lowercase();
    assert!(answer.ends_with("{\"x\":1}\n"), "{answer}");
    for header in [
        "x-clickhouse-format: jsoneachrow",
        "x-clickhouse-timezone: ",
        "x-clickhouse-summary: {\"read_rows\":\"1\"",
        "x-clickhouse-server-display-name: ",
        "content-type: application/x-ndjson",
        "x-clickhouse-query-id: ",
    ] {
        assert!(lower.contains(header), "{header} in {answer}");
    }
    let answer = text(&db.curl(
        "",
        &["-H", "X-ClickHouse-Format: CSV", "--data-binary", "SELECT 'a', 1"],
    ));
    assert_eq!(answer, "\"a\",1\n");
    assert_eq!(db.sql("SELECT 1 AS x FORMAT TSVWithNames"), "x\n1");

    let answer = text(&db.curl(
        "?query_id=mine",
        &["-i", "--data-binary", "SELECT * FROM nowhere"],
    ));
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    assert!(
        answer.to_lowercase().contains("x-clickhouse-exception-code: 60"),
        "{answer}"
    );
    assert!(
        answer.contains("Code: 60. DB::Exception: ") && answer.contains("(UNKNOWN_TABLE) (version "),
        "{answer}"
    );
    for (sql, code) in [
        ("SELEC 1 2", 62),
        ("SELECT 1; SELECT 2", 62),
        ("SHOW TABLES; SHOW TABLES", 62),
        ("-- nothing", 62),
        ("SELECT nope()", 46),
        ("SELECT 1 FORMAT Nope", 73),
        ("SELECT throwIf(1)", 395),
        ("SELECT 1 INTO OUTFILE '/tmp/netfault-outfile'", 344),
        ("INSERT INTO nowhere FORMAT CSV\n1", 60),
    ] {
        assert!(
            db.sql(sql).starts_with(&format!("Code: {code}. DB::Exception: ")),
            "{sql}: {}",
            db.sql(sql)
        );
    }
    assert!(
        db.curl("?nope=1", &["--data-binary", "SELECT 1"])
            .stdout
            .starts_with(b"Code: 115.")
    );
    assert!(
        db.curl("?database=nope", &["--data-binary", "SELECT 1"])
            .stdout
            .starts_with(b"Code: 81.")
    );
    assert!(
        db.curl("?query=CREATE+DATABASE+x", &[])
            .stdout
            .starts_with(b"Code: 164."),
        "GET may not change anything"
    );
    assert!(text(&db.curl("elsewhere", &["-i"])).starts_with("HTTP/1.1 404"));
    assert_eq!(db.stop(), Some(0));
}

#[test]
fn settings_parameters_and_databases_stay_with_their_query() {
    if !libchdb_present("settings_parameters_and_databases_stay_with_their_query") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let db = Db::start(dir.path());
    assert_eq!(
        text(&db.curl(
            "?max_threads=3",
            &["--data-binary", "SELECT getSetting('max_threads')"]
        )),
        "3\n"
    );
    assert_ne!(db.sql("SELECT getSetting('max_threads')"), "3");
    let query = "SELECT {a:UInt8} + 1, {s:String}, {l:Array(UInt8)}";
    let asked = db.curl(
        "?param_a=4&param_s=it%27s%5Ctx&param_l=%5B1,2%5D",
        &["--data-binary", query],
    );
    assert_eq!(text(&asked), "5\tit\\'s\\tx\t[1,2]\n");
    let form = ["-F", "query=SELECT {a:UInt8}", "-F", "param_a=7"];
    assert_eq!(text(&db.curl("", &form)), "7\n");
    assert_eq!(db.sql("CREATE DATABASE `a b`"), "");
    assert_eq!(
        text(&db.curl("?database=a%20b", &["--data-binary", "SELECT currentDatabase()"])),
        "a b\n"
    );
    let header = [
        "-H",
        "X-ClickHouse-Database: a b",
        "--data-binary",
        "SELECT currentDatabase()",
    ];
    assert_eq!(text(&db.curl("", &header)), "a b\n");
    assert_eq!(db.sql("SELECT currentDatabase()"), "default");
    let big = [
        "--data-binary",
        "SELECT sum(number) FROM numbers(1000000) SETTINGS max_rows_to_read=10",
    ];
    assert!(text(&db.curl("?wait_end_of_query=1&session_id=x", &big)).starts_with("Code: 158."));
}

#[test]
fn inserts_come_in_every_shape() {
    if !libchdb_present("inserts_come_in_every_shape") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let db = Db::start(dir.path());
    assert_eq!(
        db.sql("CREATE TABLE t (a UInt32, b String DEFAULT 'd') ENGINE = MergeTree ORDER BY a"),
        ""
    );
    assert_eq!(db.sql("INSERT INTO t FORMAT CSV\n1,\"x\n\ny\"\n"), "");
    assert_eq!(db.sql("INSERT INTO t (a) VALUES (2), (3);"), "");
    assert_eq!(
        text(&db.curl(
            "?query=INSERT+INTO+t+FORMAT+JSONEachRow",
            &["--data-binary", "{\"a\":4}\n{\"a\":5}"]
        )),
        ""
    );
    assert_eq!(
        text(&db.curl("?query=INSERT+INTO+t+(a)+VALUES", &["--data-binary", "(6)"])),
        ""
    );
    assert_eq!(db.sql("INSERT INTO t SELECT number + 7, 's' FROM numbers(3)"), "");
    assert_eq!(
        db.sql("INSERT INTO t SETTINGS async_insert=1, wait_for_async_insert=1 VALUES (10, 'async')"),
        ""
    );
    let summary = text(&db.curl(
        "?query=INSERT+INTO+t+FORMAT+TSV",
        &["-i", "--data-binary", "11\ta\n12\tb\n"],
    ));
    assert!(summary.contains("\"written_rows\":\"2\""), "{summary}");
    assert_eq!(
        db.sql("SELECT count(), sum(a), countIf(b = 'd'), anyIf(b, a = 1) FROM t"),
        "12\t78\t5\tx\\n\\ny"
    );
    assert!(
        db.sql("INSERT INTO t FORMAT TSV\n1\ta\nnan\tb\n")
            .starts_with("Code: 27.")
    );
    assert!(
        db.curl("?query=INSERT+INTO+t+VALUES+(99,'g')", &[])
            .stdout
            .starts_with(b"Code: 164.")
    );
    assert_eq!(
        db.sql("SELECT count() FROM t"),
        "12",
        "a refused insert leaves nothing behind"
    );
}

#[test]
fn bodies_are_packed_in_both_directions() {
    if !libchdb_present("bodies_are_packed_in_both_directions") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let db = Db::start(dir.path());
    let numbers = "SELECT number AS a FROM numbers(300000)";
    let plain = db.curl("", &["--data-binary", numbers]).stdout;
    let compressed = db
        .curl(
            "?enable_http_compression=1",
            &["-i", "--compressed", "--data-binary", numbers],
        )
        .stdout;
    assert!(
        String::from_utf8_lossy(&compressed[..1000])
            .to_lowercase()
            .contains("content-encoding: gzip")
    );
    assert!(compressed.ends_with(&plain), "curl unpacks what was packed");

    db.sql("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a");
    let (file, packed) = (dir.path().join("rows.tsv"), dir.path().join("rows.tsv.gz"));
    std::fs::write(&file, &plain).unwrap();
    assert!(
        Command::new("gzip")
            .arg("-k")
            .arg(&file)
            .status()
            .unwrap()
            .success()
    );
    let data = format!("@{}", packed.display());
    let sent = db.curl(
        "?query=INSERT+INTO+t+FORMAT+TSV",
        &["-H", "Content-Encoding: gzip", "--data-binary", &data],
    );
    assert_eq!(text(&sent), "");
    // Native blocks: what the server packed is what it unpacks.
    let blocks = dir.path().join("rows.lz4");
    let native = db
        .curl("?compress=1&default_format=Native", &["--data-binary", numbers])
        .stdout;
    assert!(
        native.len() < 300_000 * 6 && native[16] == 0x82,
        "{} bytes",
        native.len()
    );
    std::fs::write(&blocks, &native).unwrap();
    let data = format!("@{}", blocks.display());
    let sent = db.curl(
        "?decompress=1&query=INSERT+INTO+t+FORMAT+Native",
        &["--data-binary", &data],
    );
    assert_eq!(text(&sent), "");
    assert_eq!(db.sql("SELECT count(), sum(a) FROM t"), "600000\t89999700000");

    let mut broken = native.clone();
    broken[40] ^= 1;
    std::fs::write(&blocks, &broken).unwrap();
    let sent = db.curl(
        "?decompress=1&query=INSERT+INTO+t+FORMAT+Native",
        &["--data-binary", &data],
    );
    assert!(
        text(&sent).starts_with("Code: 40. DB::Exception: checksum doesn't match"),
        "{}",
        text(&sent)
    );
    let sent = db.curl("", &["-H", "Content-Encoding: br", "--data-binary", "SELECT 1"]);
    assert!(text(&sent).starts_with("Code: 48."), "{}", text(&sent));
}

#[test]
fn strangers_are_refused() {
    if !libchdb_present("strangers_are_refused") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let db = Db::start(dir.path());
    let ask = |args: &[&str]| {
        let url = format!("{}/?query=SELECT+1", db.bound.url);
        text(
            &Command::new("curl")
                .args(["-sSi", &url])
                .args(args)
                .output()
                .unwrap(),
        )
    };
    assert!(
        ask(&[]).starts_with("HTTP/1.1 401") && ask(&[]).contains("Code: 194."),
        "{}",
        ask(&[])
    );
    for wrong in [
        &["-u", "netfault:wrong"][..],
        &["-H", "X-ClickHouse-User: netfault", "-H", "X-ClickHouse-Key: x"],
    ] {
        let answer = ask(wrong);
        assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
        assert!(
            answer.contains("Code: 516. DB::Exception: netfault: Authentication failed"),
            "{answer}"
        );
    }
    let other_user = format!("nobody:{}", db.bound.password);
    assert!(ask(&["-u", &other_user]).starts_with("HTTP/1.1 403"));
    let key = format!("X-ClickHouse-Key: {}", db.bound.password);
    assert!(ask(&["-H", "X-ClickHouse-User: netfault", "-H", &key]).starts_with("HTTP/1.1 200"));
    assert!(db.bound.password.len() >= 32, "a generated password is long");
    let command_line = std::fs::read(format!("/proc/{}/cmdline", db.child.id())).unwrap();
    assert!(!String::from_utf8_lossy(&command_line).contains(&db.bound.password));
}

#[test]
fn a_server_that_cannot_be_says_why_in_one_sentence() {
    if !libchdb_present("a_server_that_cannot_be_says_why_in_one_sentence") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let db = Db::start(dir.path());
    let path = dir.path().to_str().unwrap();
    let start = |args: &[&str]| {
        let output = Command::new(db_serve())
            .args(args)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(69), "{args:?}");
        String::from_utf8_lossy(&output.stderr).trim().to_owned()
    };
    let message = start(&["--dir", path]);
    let want = format!(
        "another process (pid {}) already uses the database in",
        db.child.id()
    );
    assert!(
        message.contains(&want) && message.lines().count() == 1,
        "{message}"
    );
    let other = tempfile::tempdir().unwrap();
    let other = other.path().to_str().unwrap();
    for address in ["0.0.0.0:0", "192.0.2.1:8123", "[::]:0"] {
        assert!(
            start(&["--dir", other, "--listen", address]).contains("is not a loopback address"),
            "{address}"
        );
    }
    assert!(start(&["--dir", other, "--listen", db.address()]).contains("cannot listen on"));
    assert!(start(&["--dir", "/proc/netfault"]).contains("/proc/netfault cannot be written"));
    assert!(start(&["--dir", other, "--libchdb", "/nowhere/libchdb.so"]).contains("make libchdb"));
    assert!(start(&["--dir", other, "--libchdb", "/etc/hostname"]).contains("cannot be loaded"));
    assert!(start(&[]).contains("--dir is missing"));
}

#[test]
fn a_large_result_streams_in_bounded_memory_and_a_hang_up_cancels() {
    if !libchdb_present("a_large_result_streams_in_bounded_memory_and_a_hang_up_cancels") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let db = Db::start(dir.path());
    db.sql("SELECT 1");
    let before = db.memory_mb("VmHWM:");
    // 10 M rows, 570 MB.
    let big = "SELECT number, hex(sipHash128(number)), toString(number) FROM numbers(10000000) FORMAT TSV";
    let output = dir.path().join("big");
    let sent = db.curl("", &["-o", output.to_str().unwrap(), "--data-binary", big]);
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    let size = std::fs::metadata(&output).unwrap().len();
    let grown = db.memory_mb("VmHWM:") - before;
    println!("10 M rows, {} MB: the server grew by {grown} MB", size >> 20);
    assert!(size > 450 << 20 && grown < 250, "{size} bytes, {grown} MB");

    // The engine begins the format anew in each piece; nobody may see that.
    for (format, length) in [
        ("TSVWithNames", 6_888_892),
        ("RowBinaryWithNamesAndTypes", 8_000_010),
        ("Native", 0),
    ] {
        let some = db.curl(
            &format!("?default_format={format}"),
            &["--data-binary", "SELECT number AS x FROM numbers(1000000)"],
        );
        assert!(
            length == 0 || some.stdout.len() == length,
            "{format}: {} bytes",
            some.stdout.len()
        );
    }
    let json = db
        .curl(
            "",
            &[
                "--data-binary",
                "SELECT number AS x FROM numbers(200000) FORMAT JSONCompact",
            ],
        )
        .stdout;
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(
        (json["rows"].as_u64(), json["data"].as_array().map(Vec::len)),
        (Some(200_000), Some(200_000))
    );

    // A failure half-way: the frame and a broken body, so that nobody takes it for the whole answer.
    let fails = "SELECT throwIf(number = 9000000), repeat('x', 20) FROM numbers(10000000)";
    let sent = db.curl("", &["-o", output.to_str().unwrap(), "--data-binary", fails]);
    assert!(!sent.status.success(), "curl sees that the body is cut");
    let tail = std::fs::read(&output).unwrap();
    let tail = String::from_utf8_lossy(&tail[tail.len() - 400..]).into_owned();
    assert!(
        tail.contains("__exception__\r\n") && tail.contains("Code: 395."),
        "{tail}"
    );

    // Hang up while the engine counts (nothing sent yet) and while it sends.
    for slow in [
        "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(sipHash64(number))",
        "SELECT number FROM numbers(1000000000000)",
        "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(sipHash64(number)) FORMAT JSON",
    ] {
        let key = format!("{}:{}", db.bound.user, db.bound.password);
        let mut curl = Command::new("curl");
        curl.args([
            "-s",
            "-o",
            "/dev/null",
            "-u",
            &key,
            &db.bound.url,
            "--data-binary",
            slow,
        ]);
        let mut curl = curl.spawn().unwrap();
        let running = "SELECT count() FROM system.processes WHERE query NOT LIKE '%system.processes%'";
        wait_for(|| db.sql(running) != "0", slow);
        curl.kill().unwrap();
        curl.wait().unwrap();
        wait_for(|| db.sql(running) == "0", slow);
    }
    assert_eq!(db.stop(), Some(0));
}

fn wait_for(mut condition: impl FnMut() -> bool, what: &str) {
    let since = Instant::now();
    while !condition() {
        assert!(since.elapsed() < Duration::from_secs(30), "gave up: {what}");
        std::thread::yield_now();
    }
}

#[test]
fn hostile_bytes_get_an_error_and_the_server_lives() {
    if !libchdb_present("hostile_bytes_get_an_error_and_the_server_lives") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let db = Db::start(dir.path());
    let auth = format!(
        "X-ClickHouse-User: {}\r\nX-ClickHouse-Key: {}\r\n",
        db.bound.user, db.bound.password
    );
    let post = |target: &str, body: &[u8]| {
        let length = body.len();
        let mut request = format!(
            "POST {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{auth}Content-Length: {length}\r\n\r\n"
        )
        .into_bytes();
        request.extend_from_slice(body);
        exchange(&mut db.connect(), &request)
    };
    assert_eq!(post("/?query=SELECT%20%zz%", b"").0, 400);
    assert_eq!(post("/?query=%ff%fe%00", b"").0, 400);
    db.sql("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a");
    let insert = "/?decompress=1&query=INSERT+INTO+t+FORMAT+Native";
    let mut huge = vec![0_u8; 16];
    huge.extend_from_slice(&[0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    let (_, answer) = post(insert, &huge);
    assert!(
        answer.contains("Code: 271. DB::Exception: a compressed block states 4294967295 bytes"),
        "{answer}"
    );
    let (_, answer) = post(insert, &huge[..20]);
    assert!(answer.contains("Code: 33."), "{answer}");
    let (status, answer) = post("/?query=INSERT+INTO+t+FORMAT+Native", &[0xff; 4096]);
    assert!(status >= 400 && answer.contains("Code: "), "{answer}");
    assert_eq!(post("/", &[0; 1000]).0, 400);
    let (_, answer) = exchange(&mut db.connect(), b"\x16\x03\x01 not http\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    // A client that dies in the middle of a body leaves nothing.
    let half = format!(
        "POST /?query=INSERT+INTO+t+FORMAT+TSV HTTP/1.1\r\nHost: x\r\n{auth}Content-Length: 100\r\n\r\n1\n2\n"
    );
    let mut socket = db.connect();
    std::io::Write::write_all(&mut socket, half.as_bytes()).unwrap();
    drop(socket);
    wait_for(
        || db.sql("SELECT count() FROM system.processes") == "1",
        "the half insert ends",
    );
    assert_eq!(db.sql("SELECT count() FROM t"), "0");
    assert!(!dir.path().join("netfault-outfile").exists());
}

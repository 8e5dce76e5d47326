//! Bad input: one clear sentence on standard error, its exit code, nothing on standard output.

mod common;

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use common::*;
use serde_json::Value;

const USAGE: i32 = 64;
const DATA: i32 = 65;
const UNAVAILABLE: i32 = 69;
const CONFIG: i32 = 78;

/// Files that are wrong in one way each.
fn mess() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    std::fs::create_dir(dir.path().join("empty")).unwrap();
    write("text.mrt", "this is no MRT file, and never was\n");
    write("typo.yaml", "watch:\n  prefixs: [192.0.2.0/24]\n");
    write("prefix.yaml", "watch:\n  prefixes: [192.0.2.0/33]\n");
    write(
        "plan.yaml",
        "dns: {interval: 5s}\nwatch:\n  names:\n    - {name: a.example, authorities: [192.0.2.53]}\n    - {name: b.example, authorities: [192.0.2.53]}\n    - {name: c.example, authorities: [192.0.2.53]}\n    - {name: d.example, authorities: [192.0.2.53]}\n    - {name: e.example, authorities: [192.0.2.53]}\n    - {name: f.example, authorities: [192.0.2.53]}\n",
    );
    write("stale.yaml", "dns:\n  interval: 60s\n  detect: {stale_s: 200}\n");
    write(
        "down.yaml",
        &format!("store: {{url: 'http://{}'}}\n", closed_port()),
    );
    write(
        "engine.yaml",
        "store: {embedded: store}\nsources: {ris_live: {enabled: false}}\n",
    );
    write("file", "");
    write(
        "unwritable.yaml",
        "data_dir: file/data\nsources: {ris_live: {enabled: false}}\n",
    );
    write("nostore.yaml", "journal: {enabled: false}\n");
    write(
        "hook.yaml",
        &format!(
            "alerts: {{receivers: [{{name: console, stdout: {{}}}}, {{name: hook, webhook: {{url: 'http://{}/'}}}}]}}\n",
            closed_port()
        ),
    );
    dir
}

#[track_caller]
fn refused(ended: &Ended, code: i32, said: &str) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    assert_eq!(ended.out, "", "{ended:?}");
    assert!(ended.err.contains(said), "'{said}' is missing: {}", ended.err);
    assert!(!ended.err.contains("panicked"), "{}", ended.err);
}

#[test]
fn bad_input_is_one_sentence() {
    let dir = mess();
    let lab = lab("");
    let table: &[(&[&str], i32, &str)] = &[
        (&["replay", "missing"], DATA, "missing: no such file or folder"),
        (&["replay", "empty"], DATA, "empty: no MRT files"),
        (&["replay", "text.mrt"], DATA, "text.mrt: not an MRT file"),
        (
            &["replay", "-c", "typo.yaml", &lab],
            CONFIG,
            "typo.yaml:2:3: unknown key 'prefixs', did you mean 'prefixes'?",
        ),
        (&["config", "check", "-c", "typo.yaml"], CONFIG, "typo.yaml:2:3"),
        (
            &["config", "check", "-c", "prefix.yaml"],
            CONFIG,
            "prefix.yaml:2:14: '192.0.2.0/33' is not a prefix",
        ),
        (
            &["config", "check", "-c", "plan.yaml"],
            CONFIG,
            "plan.yaml:9:7: with this name the server 192.0.2.53:53 would be asked up to 6 questions every 5s",
        ),
        (
            &["config", "check", "-c", "stale.yaml"],
            CONFIG,
            "stale.yaml:3:11: stale_s: 200 is less than 6 rounds of dns.interval (1m)",
        ),
        (&["config", "check", "-c", "missing.yaml"], CONFIG, "missing.yaml"),
        (&["config", "init", "typo.yaml"], CONFIG, "does not overwrite"),
        (&["run", "-c", "typo.yaml"], CONFIG, "typo.yaml:2:3"),
        (
            &["query", "withdrawals", "-c", "nostore.yaml"],
            CONFIG,
            "the configuration has no store",
        ),
        (
            &["query", "withdrawals", "-c", "down.yaml"],
            UNAVAILABLE,
            "cannot be reached: Connection refused",
        ),
        (
            &["query", "dns", "-c", "down.yaml"],
            UNAVAILABLE,
            "cannot be reached",
        ),
        (
            &["db", "sql", "-c", "down.yaml", "SELECT 1"],
            UNAVAILABLE,
            "cannot be reached",
        ),
        (
            &["db", "migrate", "-c", "down.yaml"],
            UNAVAILABLE,
            "cannot be reached",
        ),
        (
            &["replay", "--store", "-c", "down.yaml", &lab],
            UNAVAILABLE,
            "cannot be reached",
        ),
        (
            &["run", "-c", "unwritable.yaml", "--stop-after", "9"],
            UNAVAILABLE,
            "Not a directory",
        ),
        (
            &["dns", "check", "bad..name"],
            USAGE,
            "'bad..name' is not a domain name",
        ),
        (
            &["dns", "check", "example.com", "--authority", "nonsense"],
            USAGE,
            "'nonsense' is not the address of a server",
        ),
        (
            &["alert", "test", "nobody", "-c", "hook.yaml"],
            USAGE,
            "there is no receiver 'nobody'",
        ),
        (
            &["dev", "ris-live-server", "missing"],
            DATA,
            "missing: no such file or folder",
        ),
        (
            &["dev", "ris-live-server", "--speed", "fast", &lab],
            USAGE,
            "'fast' is not a speed",
        ),
    ];
    for (args, code, said) in table {
        let ended = run(dir.path(), &[&["-q"], *args].concat());
        refused(&ended, *code, said);
        let lines: Vec<&str> = ended.err.lines().collect();
        assert!(
            matches!(lines.as_slice(), [line] if line.starts_with("netfault: ")),
            "{args:?}: {}",
            ended.err
        );
    }
}

#[test]
fn a_wrong_command_line_is_usage() {
    let dir = mess();
    let table: &[(&[&str], &str)] = &[
        (
            &["replay", "--watch", "192.0.2.0/33", "x"],
            "'192.0.2.0/33' is not a prefix",
        ),
        (
            &["replay", "--watch", "foo", "x"],
            "'foo' is neither a prefix (192.0.2.0/24) nor an AS number (AS64500)",
        ),
        (&["replay", "--speed", "0", "x"], "'0' is not a speed"),
        (&["replay"], "PATH"),
        (&["frobnicate"], "frobnicate"),
        (&["query", "withdrawals", "--since", "yesterday"], "yesterday"),
    ];
    for (args, said) in table {
        refused(&run(dir.path(), args), USAGE, said);
    }
}

#[test]
fn a_port_in_use_is_said() {
    let dir = mess();
    let (_held, addr) = taken_port();
    let addr = addr.to_string();
    for args in [
        vec!["db", "serve", "--dir", "served", "--listen", &addr],
        vec!["dev", "ris-live-server", "-q", "--listen", &addr, &lab("")],
    ] {
        refused(
            &run(dir.path(), &args),
            UNAVAILABLE,
            &format!("cannot listen on {addr}: Address already in use"),
        );
    }
}

#[test]
fn a_missing_engine_is_said_with_how_to_get_it() {
    let dir = mess();
    for args in [
        vec!["-q", "run", "-c", "engine.yaml", "--stop-after", "9"],
        vec!["-q", "query", "withdrawals", "-c", "engine.yaml"],
        vec!["-q", "db", "serve", "--listen", "127.0.0.1:0"],
    ] {
        let ended = ended(netfault(dir.path()).env("LIBCHDB", "/nonexistent").args(args));
        refused(&ended, UNAVAILABLE, "get it with `make libchdb`");
        assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
    }
}

/// Nobody asked for the store of the built-in configuration, so it only warns.
#[test]
fn without_a_file_and_without_the_engine_the_service_runs() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = netfault(dir.path());
    command
        .env("LIBCHDB", "/nonexistent")
        .args(["run", "--stop-after", "1"]);
    let ended = ended(&mut command).ok();
    assert_eq!(ended.err.matches("nothing is stored").count(), 1, "{}", ended.err);
    assert!(ended.err.contains("make libchdb"), "{}", ended.err);
}

#[test]
fn a_full_disk_and_a_reader_that_goes_away() {
    let dir = tempfile::tempdir().unwrap();
    for format in ["table", "json", "ndjson", "csv"] {
        let args = ["-q", "--format", format, "replay", &lab("")];
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = netfault(dir.path()).args(args).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(UNAVAILABLE));
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            said,
            "netfault: standard output cannot be written: No space left on device (os error 28)\n"
        );

        let mut child = netfault(dir.path())
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    }
}

/// A file system of a few kilobytes, unmounted when dropped.
struct Tiny<'a>(&'a Path);

impl Drop for Tiny<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

#[test]
fn store_spool_on_a_full_disk_is_said() {
    if !has_engine("store_spool_on_a_full_disk_is_said") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let disk = dir.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=16k", "tmpfs"])
        .arg(&disk)
        .stderr(Stdio::null())
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        println!("SKIPPED: tmpfs cannot be mounted: store_spool_on_a_full_disk_is_said");
        return;
    }
    let _tiny = Tiny(&disk);
    std::fs::write(disk.join("ballast"), vec![0; 16 << 10]).unwrap_or_default();
    std::fs::write(
        dir.path().join("n.yaml"),
        "data_dir: disk\nstore: {embedded: store}\n",
    )
    .unwrap();
    let ended = run(dir.path(), &["-q", "replay", "--store", "-c", "n.yaml", &lab("")]);
    assert_eq!(ended.code, Some(UNAVAILABLE), "{ended:?}");
    assert!(ended.err.contains("No space left on device"), "{}", ended.err);
}

#[test]
fn store_that_refuses_the_password_is_said() {
    if !has_engine("store_that_refuses_the_password_is_said") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut command = netfault(dir.path());
    command.args([
        "db",
        "serve",
        "--dir",
        "served",
        "--listen",
        "127.0.0.1:0",
        "--password",
        "right",
    ]);
    let server = Running::start(command, dir.path(), "server");
    let ready: Value = wait_for("the ready line", || serde_json::from_str(&server.out()).ok());
    let url = ready["url"].as_str().unwrap();
    for (name, password) in [("right", "right"), ("wrong", "wrong")] {
        let text = format!(
            "store: {{url: '{url}', user: netfault, password: {password}}}\nsources: {{ris_live: {{enabled: false}}}}\n"
        );
        std::fs::write(dir.path().join(format!("{name}.yaml")), text).unwrap();
    }
    for args in [
        vec!["-q", "query", "withdrawals", "-c", "wrong.yaml"],
        vec!["-q", "db", "sql", "-c", "wrong.yaml", "SELECT 1"],
        vec!["-q", "replay", "--store", "-c", "wrong.yaml", &lab("")],
        vec!["-q", "run", "-c", "wrong.yaml", "--stop-after", "20"],
    ] {
        let ended = run(dir.path(), &args);
        refused(
            &ended,
            UNAVAILABLE,
            "refuses user 'netfault': check store.user and store.password",
        );
        assert!(
            !ended.err.contains("wrong\""),
            "no password is shown: {}",
            ended.err
        );
    }
    run(dir.path(), &["db", "migrate", "-c", "right.yaml"]).ok();
    let table = [
        ("table", "1"),
        ("json", "\"data\""),
        ("ndjson", "{\"one\":1}"),
        ("csv", "\"one\"\n1\n"),
    ];
    for (format, shown) in table {
        let args = [
            "--format",
            format,
            "db",
            "sql",
            "-c",
            "right.yaml",
            "SELECT 1 AS one",
        ];
        let ended = run(dir.path(), &args).ok();
        assert!(ended.out.contains(shown), "{format}: {}", ended.out);
    }
    let wrong = run(dir.path(), &["-q", "db", "sql", "-c", "right.yaml", "SELEC 1"]);
    refused(&wrong, UNAVAILABLE, "Syntax error");
}

#[test]
fn config_init_check_and_print_agree() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), &["config", "init"]).ok();
    let checked = run(dir.path(), &["config", "check"]).ok();
    assert!(checked.out.contains("watch:   2 prefixes"), "{}", checked.out);
    let printed = run(dir.path(), &["config", "print"]).ok();
    std::fs::write(dir.path().join("printed.yaml"), &printed.out).unwrap();
    let again = run(dir.path(), &["config", "print", "-c", "printed.yaml"]).ok();
    assert_eq!(printed.out, again.out, "what is printed reads back equal");
    let shipped = workspace().join("examples/netfault.yaml").display().to_string();
    let with_secrets = ended(
        netfault(dir.path())
            .args(["config", "check", "-c", &shipped])
            .env("NETFAULT_WEBHOOK_SECRET", "s3cret"),
    );
    assert!(!with_secrets.out.contains("s3cret"));
}

#[test]
fn alert_test_says_who_took_it() {
    let dir = mess();
    let told = run(dir.path(), &["alert", "test", "console", "-c", "hook.yaml"]).ok();
    assert!(
        told.out.contains("ALERT") && told.out.contains("RESOLVED"),
        "{}",
        told.out
    );
    let ended = run(dir.path(), &["-q", "alert", "test", "hook", "-c", "hook.yaml"]);
    refused(&ended, UNAVAILABLE, "the test notice did not reach hook");
    assert!(ended.err.contains("Connection refused"), "{}", ended.err);
}

#[test]
fn dns_check_speaks_like_a_monitoring_plugin() {
    let dir = tempfile::tempdir().unwrap();
    let closed = closed_port().to_string();
    let hints = format!(". NS ns.lab.\nns.lab. A {}\n", closed.replace(':', "#"));
    std::fs::write(dir.path().join("hints"), hints).unwrap();
    let check = |format: &str, whom: &str| {
        run(
            dir.path(),
            &[
                "-q",
                "--format",
                format,
                "dns",
                "check",
                "example.com",
                "--root-hints",
                "hints",
                whom,
                &closed,
            ],
        )
    };
    for (format, shown) in [
        ("table", "example.com is out"),
        ("json", "\"verdict\":\"out\""),
        ("ndjson", "\"verdict\":\"out\""),
        ("csv", "authority,127.0.0.1:"),
    ] {
        let out = check(format, "--authority");
        assert_eq!(out.code, Some(2), "{}", out.err);
        assert!(out.out.contains(shown), "{format}: {}", out.out);
    }
    assert_eq!(
        check("table", "--resolver").code,
        Some(3),
        "a dead resolver says nothing about the name"
    );
    let walk = ["-q", "dns", "walk", "example.com", "--root-hints", "hints"];
    let out = run(dir.path(), &walk);
    assert_eq!(out.code, Some(3), "{}", out.err);
    assert!(out.out.contains("no root server answers"), "{}", out.out);
    std::fs::write(dir.path().join("hints"), ". NS ns.lab.\nns.lab. A nonsense\n").unwrap();
    refused(&run(dir.path(), &walk), DATA, "hints:2: 'nonsense' is no address");
}

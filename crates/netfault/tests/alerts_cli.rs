//! `netfault alert` and `netfault silence`, as their user meets them.

mod common;

use std::path::Path;

use common::*;
use serde_json::Value;

fn config(dir: &Path, hook: &str) -> String {
    let text = format!(
        "sources: {{ris_live: {{enabled: false}}}}\n\
         alerts:\n  \
           receivers:\n    \
             - {{name: console, stdout: {{}}, template: {{title: '{{{{ word }}}} for you'}}}}\n    \
             - {{name: hook, webhook: {{url: '{hook}'}}}}\n  \
           routes:\n    \
             - {{name: urgent, match: {{severity: 4}}, receivers: [hook]}}\n"
    );
    let path = dir.join("netfault.yaml");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn silences_are_added_listed_and_ended() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), "http://127.0.0.1:1/");
    let silence = |args: &[&str]| {
        let all = [&["-q", "--format", "ndjson", "silence"], args, &["-c", &config]].concat();
        run(dir.path(), &all)
    };
    let list = |args: &[&str]| -> Vec<Value> {
        let shown = silence(&[&["list"], args].concat()).ok();
        shown
            .out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    assert_eq!(list(&[]), Vec::<Value>::new());
    let added = silence(&[
        "add",
        "name=*.example.com",
        "severity=2",
        "--for",
        "2h",
        "--comment",
        "patching",
        "--by",
        "ann",
    ])
    .ok();
    let id = added.out.trim().to_owned();
    assert_eq!(id.len(), 16, "{}", added.out);
    silence(&[
        "add",
        "--everything",
        "--until",
        "2100-01-01",
        "--from",
        "2099-01-01",
    ])
    .ok();
    let shown = list(&[]);
    let told = |n: usize, key: &str| shown[n][key].as_str().unwrap().to_owned();
    assert_eq!(
        (told(0, "id"), told(0, "state"), told(0, "match"), told(0, "by")),
        (
            id.clone(),
            "active".into(),
            "name=*.example.com severity=2".into(),
            "ann".into()
        )
    );
    assert_eq!(
        (told(1, "state"), told(1, "match")),
        ("to come".into(), "everything".into())
    );
    silence(&["expire", &id[..8]]).ok();
    assert_eq!(list(&[]).len(), 1);
    assert_eq!(list(&["--all"])[0]["state"], "over");

    for (args, what) in [
        (&["add", "--for", "2h"][..], "needs a condition"),
        (&["add", "colour=red", "--for", "2h"], "'colour' is no key"),
        (
            &["add", "name=x", "--until", "2001-01-01"],
            "over before it begins",
        ),
        (&["add", "name=x", "--for", "soon"], "not a duration"),
        (&["add", "name=x"], "--for"),
        (&["expire", "ffff"], "no silence in force"),
    ] {
        let ended = silence(args);
        assert_eq!(ended.code, Some(64), "{args:?}: {}", ended.err);
        assert!(ended.err.contains(what), "{args:?}: {}", ended.err);
    }
}

#[test]
fn a_test_goes_to_a_receiver_or_to_those_of_a_route() {
    let dir = tempfile::tempdir().unwrap();
    let hook = Hook::start();
    let config = config(dir.path(), &hook.url);
    let test = |args: &[&str]| run(dir.path(), &[&["alert", "test"], args, &["-c", &config]].concat());
    let told = test(&["urgent"]).ok();
    assert!(
        told.err.contains("hook: accepted") && !told.err.contains("console"),
        "{}",
        told.err
    );
    assert_eq!(hook.bodies().len(), 2);
    let told = test(&["console"]).ok();
    assert!(
        told.out.contains("ALERT for you") && told.out.contains("RESOLVED for you"),
        "{}",
        told.out
    );
    test(&[]).ok();
    assert_eq!(hook.bodies().len(), 4);
    let refused = test(&["nobody"]);
    assert_eq!(refused.code, Some(64));
    assert!(
        refused
            .err
            .contains("there is no receiver or route 'nobody'; there are: console, hook, urgent"),
        "{}",
        refused.err
    );
}

#[test]
fn the_status_is_what_the_service_wrote_last() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), "http://127.0.0.1:1/");
    let status = |format: &str| {
        let args = ["-q", "--format", format, "alert", "status", "-c", &config];
        run(dir.path(), &args)
    };
    let none = status("table");
    assert_eq!(none.code, Some(69));
    assert!(
        none.err.contains("no service has run with it yet"),
        "{}",
        none.err
    );
    let mut command = netfault(dir.path());
    command.args(["run", "-c", &config]);
    let running = Running::start(command, dir.path(), "live");
    wait_for("the status", || {
        dir.path()
            .join(".netfault/outbox/status.json")
            .exists()
            .then_some(())
    });
    running.stop().0.ok();
    let shown = status("csv").ok();
    assert!(
        shown.out.starts_with("receiver,pending,oldest,open,"),
        "{}",
        shown.out
    );
    assert!(shown.out.contains("\nhook,0,,0,0,"), "{}", shown.out);
}

#[test]
fn config_check_says_who_is_told_of_what() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), "http://127.0.0.1:1/");
    let shown = run(dir.path(), &["config", "check", "-c", &config]).ok();
    for line in [
        "alerts:  console (standard output), hook (webhook)",
        "routes:  severity=4 → hook",
        "routes:  an alert that matches no route is told to nobody",
        "routes:  no route names console",
    ] {
        assert!(shown.out.contains(line), "{line}\n{}", shown.out);
    }
    let wrong = std::fs::read_to_string(&config).unwrap().replace("word", "wrd");
    std::fs::write(&config, wrong).unwrap();
    let refused = run(dir.path(), &["config", "check", "-c", &config]);
    assert_eq!(refused.code, Some(78));
    assert!(
        refused.err.contains("netfault.yaml:4:")
            && refused.err.contains("the template of the title is wrong"),
        "{}",
        refused.err
    );
}

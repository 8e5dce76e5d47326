//! A program of the user's.

use std::time::Duration;

use netfault_alerts::receivers::Command;
use netfault_alerts::{Alerts, Receiver, To};
use serde_json::Value;

use crate::{counts, drained, open, resolved, until};

fn receiver(line: &str, timeout: Duration) -> Receiver {
    Receiver::new("script", To::Command(Command::shell(line, timeout).unwrap()))
}

#[tokio::test]
async fn a_command_reads_the_alert_on_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let line = format!(
        "echo \"$NETFAULT_ALERT_EVENT\" >> {0}.events; cat >> {0}",
        out.display()
    );
    let outbox = folder.path().join("outbox");
    let (alerts, _) = Alerts::start(vec![receiver(&line, Duration::from_secs(20))], &outbox).unwrap();
    alerts.send(&[open("a")]).await;
    drained(&alerts).await;
    alerts.send(&[resolved("a")]).await;
    drained(&alerts).await;
    let said = std::fs::read_to_string(&out).unwrap();
    let states: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["state"].clone())
        .collect();
    assert_eq!(states, ["open", "resolved"]);
    let events = std::fs::read_to_string(out.with_extension("events")).unwrap();
    assert_eq!(events, "a-open\na-resolved\n");
}

#[tokio::test]
async fn a_command_that_fails_or_hangs_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    // Fails, then hangs, then works.
    let line = format!(
        "n=$(cat {0} 2>/dev/null || echo 0); echo $((n+1)) > {0}; \
         case $n in 0) echo no modem >&2; exit 3;; 1) exec sleep 600;; esac",
        folder.path().join("n").display()
    );
    let outbox = folder.path().join("outbox");
    let (alerts, _) = Alerts::start(vec![receiver(&line, Duration::from_secs(2))], &outbox).unwrap();
    alerts.send(&[open("a")]).await;
    until("the failure", || counts(&alerts).last_error.is_some()).await;
    let error = counts(&alerts).last_error.unwrap();
    assert_eq!(error, "the command ended with exit status: 3: no modem");
    let counts = drained(&alerts).await;
    assert_eq!((counts.accepted, counts.retried, counts.last_error), (1, 2, None));
}

#[tokio::test]
async fn no_shell_reads_the_arguments_of_a_program() {
    let argv = ["/bin/sh", "-c", "test \"$0\" = '$(exit 1)'", "$(exit 1)"];
    let command = Command::new(argv.map(str::to_owned).to_vec(), Duration::from_secs(20)).unwrap();
    let receiver = Receiver::new("script", To::Command(command));
    let now = netfault_model::Time::from_secs(1);
    netfault_alerts::test(&receiver, now).await.unwrap();
    let missing = Command::new(vec!["/nonexistent".into()], Duration::from_secs(1)).unwrap();
    let failure = netfault_alerts::test(&Receiver::new("x", To::Command(missing)), now).await;
    let said = failure.unwrap_err().to_string();
    assert!(
        said.starts_with("cannot run /nonexistent: No such file"),
        "{said}"
    );
}

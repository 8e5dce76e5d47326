//! Mail to a real SMTP server (aiosmtpd): in the clear, with STARTTLS, with TLS; refused, dead and back.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use netfault_alerts::receivers::{Email, Smtp, Tls};
use netfault_alerts::{Alerts, Receiver, Secret, To};
use serde_json::Value;

use crate::{counts, drained, open, resolved, until, update, with_updates};

struct Server {
    child: Child,
    port: u16,
    mails: Arc<Mutex<Vec<Value>>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn python(test: &str) -> Option<PathBuf> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.netfault/venv/bin/python");
    let has = Command::new(&python)
        .args(["-c", "import aiosmtpd"])
        .stderr(Stdio::null())
        .status();
    if has.is_ok_and(|status| status.success()) {
        return Some(python);
    }
    println!("SKIPPED: aiosmtpd is absent (scripts/venv.sh): {test}");
    None
}

/// A certificate authority and a certificate for localhost; `None`: no openssl.
fn certificates(folder: &Path) -> Option<()> {
    let openssl = |args: &str| {
        let done = Command::new("openssl")
            .current_dir(folder)
            .args(args.split(' '))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        done.is_ok_and(|status| status.success()).then_some(())
    };
    std::fs::write(
        folder.join("ext"),
        "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n",
    )
    .unwrap();
    openssl("req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=test-ca")?;
    openssl("req -newkey rsa:2048 -nodes -keyout key.pem -out csr.pem -subj /CN=localhost")?;
    openssl(
        "x509 -req -in csr.pem -CA ca.pem -CAkey ca.key -CAcreateserial -out cert.pem -days 2 -extfile ext",
    )
}

fn start(python: &Path, folder: &Path, port: u16, mode: &str, login: &str, script: &str) -> Server {
    let server = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/receivers/smtp_server.py");
    let mut child = Command::new(python)
        .arg(server)
        .arg(port.to_string())
        .args([mode, "cert.pem", "key.pem", login, script])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let port = lines.next().unwrap().unwrap().parse().unwrap();
    let mails = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&mails);
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            kept.lock().unwrap().push(serde_json::from_str(&line).unwrap());
        }
    });
    Server { child, port, mails }
}

fn receiver(port: u16, tls: Tls, login: Option<(&str, &str)>, ca: Option<Vec<u8>>) -> Receiver {
    let smtp = Smtp {
        // The name in the certificate.
        host: if ca.is_some() { "localhost" } else { "127.0.0.1" }.into(),
        port,
        tls,
        login: login.map(|(user, password)| (user.to_owned(), Secret::new(password))),
        ca,
        timeout: Duration::from_secs(20),
    };
    let to = [
        "NOC <noc@example.com>".to_owned(),
        "second@example.net".to_owned(),
    ];
    let email = Email::new(smtp, "netfault <netfault@example.org>", &to).unwrap();
    Receiver::new("mail", To::Email(Box::new(email)))
}

fn mails(server: &Server) -> Vec<Value> {
    server.mails.lock().unwrap().clone()
}

#[tokio::test]
async fn mail_goes_through_refusals_death_and_return_as_one_thread() {
    let Some(python) = python("mail_goes_through_refusals_death_and_return_as_one_thread") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    // Busy, then a refusal of this one message, then it works.
    let server = start(&python, folder.path(), 0, "none", "-", "451,554");
    let port = server.port;
    let setup = with_updates(receiver(port, Tls::None, None, None));
    let outbox = folder.path().join("outbox");
    let (alerts, _) = Alerts::start(setup.clone(), &outbox).unwrap();
    alerts.send(&[open("a")]).await;
    assert_eq!(drained(&alerts).await.retried, 2);
    alerts.send(&[update("a")]).await;
    drained(&alerts).await;
    until("two mails", || mails(&server).len() == 2).await;
    let mut heard = mails(&server);
    drop(server);
    alerts.send(&[resolved("a")]).await;
    until("a failed attempt", || counts(&alerts).retried > 2).await;
    alerts.close(Duration::ZERO).await;
    let (alerts, _) = Alerts::start(setup, &outbox).unwrap();
    let server = start(&python, folder.path(), port, "none", "-", "");
    drained(&alerts).await;
    until("the last mail", || mails(&server).len() == 1).await;
    heard.extend(mails(&server));

    let header = |n: usize, name: &str| heard[n]["headers"][name].as_str().unwrap_or_default().to_owned();
    assert!(header(0, "subject").starts_with("[netfault] a is open & <b>“broken”</b>."));
    assert!(header(1, "subject").starts_with("[netfault] UPDATE: a is update"));
    assert!(header(2, "subject").starts_with("[netfault] RESOLVED: a is resolved"));
    let first = header(0, "message-id");
    assert_eq!(first, "<a-open.netfault@example.org>");
    assert_eq!(
        (header(1, "in-reply-to"), header(2, "references")),
        (first.clone(), first)
    );
    for mail in &heard {
        assert_eq!(mail["from"], "netfault@example.org");
        assert_eq!(
            mail["to"],
            serde_json::json!(["noc@example.com", "second@example.net"])
        );
        // RFC 5322 §2.1.1.
        assert!(mail["longest"].as_u64().unwrap() <= 998, "{}", mail["longest"]);
        let (plain, html) = (&mail["parts"]["text/plain"], &mail["parts"]["text/html"]);
        assert!(plain.as_str().unwrap().contains("Why: a reason."));
        assert!(html.as_str().unwrap().contains("&lt;b&gt;“broken”"));
    }
}

#[tokio::test]
async fn mail_is_sent_over_tls_only_to_who_is_trusted() {
    const TEST: &str = "mail_is_sent_over_tls_only_to_who_is_trusted";
    let Some(python) = python(TEST) else { return };
    let folder = tempfile::tempdir().unwrap();
    if certificates(folder.path()).is_none() {
        println!("SKIPPED: openssl is absent: {TEST}");
        return;
    }
    let ca = std::fs::read(folder.path().join("ca.pem")).unwrap();
    let now = netfault_model::Time::from_secs(1);
    for (mode, tls) in [("starttls", Tls::Starttls), ("tls", Tls::Tls)] {
        let server = start(&python, folder.path(), 0, mode, "netfault:hunter2", "");
        let login = Some(("netfault", "hunter2"));
        let trusted = receiver(server.port, tls, login, Some(ca.clone()));
        netfault_alerts::test(&trusted, now).await.unwrap();
        until("two mails", || mails(&server).len() == 2).await;
        assert!(
            mails(&server)
                .iter()
                .all(|mail| mail["tls"] == true && mail["login"] == true),
            "{mode}"
        );
        // A certificate that nobody has signed, and a wrong password.
        let stranger = netfault_alerts::test(&receiver(server.port, tls, login, None), now).await;
        assert!(stranger.is_err(), "{mode}");
        let wrong = receiver(server.port, tls, Some(("netfault", "guess")), Some(ca.clone()));
        let refused = netfault_alerts::test(&wrong, now).await.unwrap_err().to_string();
        assert!(refused.contains("535"), "{refused}");
        assert_eq!(mails(&server).len(), 2);
    }
    // A server without TLS gets nothing from a receiver that wants it.
    let server = start(&python, folder.path(), 0, "none", "-", "");
    let plain = netfault_alerts::test(&receiver(server.port, Tls::Starttls, None, Some(ca)), now).await;
    assert!(plain.is_err());
    assert_eq!(mails(&server).len(), 0);
}

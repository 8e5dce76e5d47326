//! Status pages.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use netfault_model::HintKind;
use netfault_sources::dns::transport::tls::TlsRoots;
use netfault_sources::hints::{Kind, summary_url};

use crate::servers::{Server, says};
use crate::{Running, plan};

/// Shaped like a real one: more keys than are read.
fn summary(indicator: &str, description: &str) -> String {
    let body = format!(
        "{{\"page\":{{\"id\":\"kctbh9vrtdwd\",\"name\":\"Shop\",\"url\":\"https://status.example.com\"}},\
         \"components\":[{{\"name\":\"API\",\"status\":\"operational\"}}],\"incidents\":[],\
         \"status\":{{\"indicator\":\"{indicator}\",\"description\":\"{description}\"}}}}"
    );
    answer(&body)
}

fn answer(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// What a page that answers these, one after another, is heard to say, and how many answers said nothing.
async fn heard(answers: Vec<String>, hints: usize) -> (Vec<(String, String)>, u64) {
    let count = answers.len();
    let server = Server::start("127.0.0.1:0", None, move |number, head| {
        assert!(head.starts_with("GET /api/v2/summary.json "), "{head}");
        says(&answers[number.min(count - 1)])
    })
    .await;
    let url = summary_url(&format!("http://{}", server.addr));
    let mut running = Running::start(plan(
        vec![(Kind::StatusPage, url.clone())],
        TlsRoots::public().plain(),
        Duration::from_millis(40),
    ));
    let mut said = Vec::new();
    while said.len() < hints {
        let hint = running.next().await;
        assert_eq!(hint.source, url);
        match hint.what {
            HintKind::Status {
                indicator,
                description,
            } => said.push((indicator, description)),
            other => panic!("{other:?}"),
        }
    }
    (said, running.stop().await.unreadable)
}

fn pair(indicator: &str, description: &str) -> (String, String) {
    (indicator.to_owned(), description.to_owned())
}

#[tokio::test]
async fn the_indicator_and_its_description_are_told() {
    let answers = vec![
        summary("none", "All Systems Operational"),
        summary("major", "Partial\\nSystem Outage"),
    ];
    let (said, unreadable) = heard(answers, 2).await;
    let expected = [
        pair("none", "All Systems Operational"),
        pair("major", "Partial System Outage"),
    ];
    assert_eq!((said.as_slice(), unreadable), (&expected[..], 0));
}

#[tokio::test]
async fn what_is_no_summary_is_counted_and_no_hint() {
    let answers = vec![
        answer("<html>maintenance</html>"),
        answer("{\"status\": \"ok\"}"),
        answer("{\"page\": {}}"),
        answer("[1, 2"),
        summary("terrible", "?"),
        "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n".to_owned(),
        "HTTP/1.1 302 Found\r\nLocation: https://elsewhere.example/\r\nContent-Length: 0\r\n\r\n".to_owned(),
        "HTTP/1.1 304 Not Modified\r\n\r\n".to_owned(), // of what?
        answer(&"x".repeat(3 << 20)),
        summary("minor", "Slow"),
    ];
    let bad = answers.len() as u64 - 1;
    let (said, unreadable) = heard(answers, 1).await;
    assert_eq!((said, unreadable), (vec![pair("minor", "Slow")], bad));
}

#[tokio::test]
async fn an_unchanged_page_is_not_sent_again_and_still_heard() {
    let unchanged = Arc::new(AtomicUsize::new(0));
    let count = unchanged.clone();
    let server = Server::start("127.0.0.1:0", None, move |_, head| {
        let head = head.to_ascii_lowercase();
        if head.contains("if-none-match: \"v1\"") {
            count.fetch_add(1, Ordering::SeqCst);
            return says("HTTP/1.1 304 Not Modified\r\nETag: \"v1\"\r\n\r\n");
        }
        assert!(!head.contains("if-none-match"), "{head}");
        let tagged = summary("minor", "Slow").replacen("\r\n\r\n", "\r\nETag: \"v1\"\r\n\r\n", 1);
        says(&tagged)
    })
    .await;
    let url = format!("http://{}/api/v2/summary.json", server.addr);
    let mut running = Running::start(plan(
        vec![(Kind::StatusPage, url)],
        TlsRoots::public().plain(),
        Duration::from_millis(40),
    ));
    for _ in 0..3 {
        let what = running.next().await.what;
        let (indicator, description) = pair("minor", "Slow");
        assert_eq!(
            what,
            HintKind::Status {
                indicator,
                description
            }
        );
    }
    assert_eq!(running.stop().await.unreadable, 0);
    assert!(unchanged.load(Ordering::SeqCst) >= 2);
}

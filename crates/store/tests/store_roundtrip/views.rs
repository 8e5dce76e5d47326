//! The views that people ask.

use netfault_model::*;
use netfault_store::query::{self, DnsFailureFilter, WithdrawalFilter};

use crate::store;
use crate::store_common::*;

#[test]
fn embedded_views_answer_in_episodes() {
    if !engine_is_here("views") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let db = Db::start(&dir.path().join("db"));
    use State::*;
    store(&db, &dir.path().join("spool"), |writer| {
        let say = |prefix, from, to, at: &str| {
            writer.transition(&transition(prefix, from, to, &format!("2008-02-24T{at}Z")))
        };
        say("84.205.71.0/24", Unknown, Normal, "01:00:00");
        say("84.205.71.0/24", Normal, Degrading, "02:02:00");
        say("84.205.71.0/24", Degrading, Out, "02:03:42");
        // The view was lost for a while: still one loss.
        say("84.205.71.0/24", Out, Unknown, "02:30:00");
        say("84.205.71.0/24", Unknown, Out, "02:31:00");
        say("84.205.71.0/24", Out, Recovering, "04:00:42");
        say("84.205.71.0/24", Recovering, Normal, "04:05:42");
        // All in one instant, and it lasts.
        say("84.205.71.0/24", Normal, Degrading, "06:03:00");
        say("84.205.71.0/24", Degrading, Partial, "06:03:00");
        say("84.205.71.0/24", Partial, Out, "06:03:00");
        // Never Out: an episode, no withdrawal.
        say("10.0.0.0/8", Normal, Degrading, "03:00:00");
        say("10.0.0.0/8", Degrading, Normal, "03:05:00");
        say("2001:db8::/32", Normal, Out, "05:00:00");
        let name = |from, to, at: &str, finding| {
            let subject = Subject::Name {
                name: "facebook.com".into(),
            };
            let at = time(&format!("2021-10-04T{at}Z"));
            let base = transition("10.0.0.0/8", from, to, "2021-10-04");
            writer.transition(&Transition {
                subject,
                at,
                first_evidence_at: at,
                finding: Some(finding),
                servers_ok: Some(0),
                ..base
            });
        };
        name(Ok, Partial, "15:51:00", Finding::AuthorityPartial);
        name(Partial, Out, "15:52:00", Finding::AuthorityUnreachable);
        name(Out, Recovering, "21:05:00", Finding::None);
        name(Recovering, Ok, "21:20:00", Finding::None);
    });
    let client = db.client();
    let ask = |filter: WithdrawalFilter| block_on(query::withdrawals(&client, &filter)).unwrap();
    let all = ask(WithdrawalFilter::default());
    let outs: Vec<_> = all
        .iter()
        .map(|row| (row.prefix.to_string(), row.out_at))
        .collect();
    let expected = [
        ("84.205.71.0/24", "02:03:42"),
        ("2001:db8::/32", "05:00:00"),
        ("84.205.71.0/24", "06:03:00"),
    ];
    assert_eq!(
        outs,
        expected.map(|(prefix, at)| (prefix.to_owned(), time(&format!("2008-02-24T{at}Z"))))
    );
    let first = &all[0];
    assert_eq!(first.degrading_at, Some(time("2008-02-24T02:02:00Z")));
    assert_eq!(first.recovering_at, Some(time("2008-02-24T04:00:42Z")));
    assert_eq!(first.recovered_at, Some(time("2008-02-24T04:05:42Z")));
    assert_eq!(
        (first.duration_s, first.outs, first.state),
        (Some(7020.0), 2, Normal)
    );
    assert_eq!(
        (first.origin, first.visibility, first.peers_lost),
        (Some(Asn(12654)), Some(0.18), Some(31))
    );
    assert_eq!(
        (first.baseline, first.cover, first.watched),
        (Some(Baseline::Held), Some(Cover::SameOrigin), true)
    );
    let last = &all[2];
    assert_eq!(
        (last.state, last.recovered_at, last.duration_s),
        (Out, None, None)
    );

    let covered = |prefix: &str| {
        ask(WithdrawalFilter {
            prefix: Some(prefix.parse().unwrap()),
            covered: true,
            ..Default::default()
        })
        .len()
    };
    assert_eq!(
        (
            covered("84.205.64.0/19"),
            covered("84.205.71.128/25"),
            covered("::/0"),
            covered("0.0.0.0/0")
        ),
        (2, 0, 1, 2)
    );
    let exact = WithdrawalFilter {
        prefix: Some("84.205.71.0/24".parse().unwrap()),
        ..Default::default()
    };
    assert_eq!(ask(exact.clone()).len(), 2);
    assert_eq!(ask(WithdrawalFilter { limit: 1, ..exact }), [all[2].clone()]);
    assert_eq!(
        ask(WithdrawalFilter {
            origin: Some(Asn(1)),
            ..Default::default()
        }),
        []
    );
    let during = WithdrawalFilter {
        since: Some(time("2008-02-24T03:00:00Z")),
        until: Some(time("2008-02-24T04:30:00Z")),
        ..Default::default()
    };
    assert_eq!(ask(during), [all[0].clone()]);

    let failures = block_on(query::dns_failures(
        &client,
        &DnsFailureFilter {
            name: Some("Facebook.com.".into()),
            ..Default::default()
        },
    ))
    .unwrap();
    assert_eq!(failures.len(), 1);
    let failure = &failures[0];
    assert_eq!(
        (failure.worst, failure.state, failure.finding),
        (Out, Ok, Some(Finding::AuthorityUnreachable))
    );
    assert_eq!(
        (failure.failed_at, failure.recovered_at),
        (time("2021-10-04T15:51:00Z"), Some(time("2021-10-04T21:20:00Z")))
    );
    assert_eq!(db.count("SELECT count() FROM prefix_episodes"), 4);
}

//! One transition: the rule and its numbers, and which peer AS said what.

use std::fmt::Write as _;

use netfault_model::{Asn, Baseline, Cover, Evidence, NameEvidence, Rule, Subject, Time, Transition};
use serde::Serialize;

use crate::render::{Style, change, moment, moment_beside, share_sentence, who};

pub const COLUMNS: [&str; 4] = ["peer_asn", "verdict", "at", "inferred"];

/// What one peer AS said. Those that lost it come first, in order of time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Peer {
    pub peer_asn: Asn,
    pub verdict: &'static str,
    /// When it lost it.
    pub at: Option<Time>,
    /// It withdrew nothing: the route was missing when its session had resynchronised.
    pub inferred: Option<bool>,
}

pub fn peers(transition: &Transition) -> Vec<Peer> {
    let Some(evidence) = transition.evidence.as_deref() else {
        return Vec::new();
    };
    let mut lost = evidence.lost.clone();
    lost.sort_by_key(|lost| (lost.at, lost.peer_asn));
    let lost = lost.into_iter().map(|lost| Peer {
        peer_asn: lost.peer_asn,
        verdict: "lost",
        at: Some(lost.at),
        inferred: Some(lost.inferred),
    });
    let others = |verdict, asns: &[Asn]| -> Vec<Peer> {
        asns.iter()
            .map(|asn| Peer {
                peer_asn: *asn,
                verdict,
                at: None,
                inferred: None,
            })
            .collect()
    };
    lost.chain(others("kept", &evidence.kept))
        .chain(others("unknown", &evidence.unknown))
        .chain(others("zombie", &evidence.zombies))
        .collect()
}

/// The rule in words, with its number.
pub fn why(transition: &Transition) -> String {
    let Some(evidence) = transition.evidence.as_deref() else {
        return match transition.subject {
            Subject::Name { .. } => "the share of healthy name servers, for two rounds of probes".to_owned(),
            _ => "it was decided by a release that kept no evidence".to_owned(),
        };
    };
    let threshold = evidence.threshold.map_or("the threshold".to_owned(), |share| {
        format!("{:.0} %", share * 100.0)
    });
    let rule = match evidence.rule {
        Rule::FirstQuorum => "enough peer ASes had it, for the first time".to_owned(),
        Rule::Falling => format!("less than {threshold} of the baseline has it or may have it"),
        Rule::Burst => "several peer ASes lost it within a minute and still lack it".to_owned(),
        Rule::Clear => format!("at least {threshold} of the baseline has it, and no burst is under way"),
        Rule::Partial => format!("at most {threshold} of the baseline has it or may have it"),
        Rule::Out => format!("at most {threshold} of the baseline has it or may have it"),
        Rule::Rising => format!("at least {threshold} of the baseline has it again"),
        Rule::Whole => format!("at least {threshold} of the baseline has it again"),
        Rule::QuorumLost => "too little of the baseline is known to say anything".to_owned(),
        Rule::QuorumBack => "enough of the baseline is known again".to_owned(),
        Rule::LossAccepted => "it has been lost for so long that the loss is accepted".to_owned(),
        Rule::Share => "enough of what belongs to it went".to_owned(),
        Rule::Rounds => "the share of healthy name servers, round after round".to_owned(),
    };
    match evidence.hold_s {
        0 => rule,
        hold => format!("{rule}, for {hold} s"),
    }
}

pub fn page(transition: &Transition, style: Style) -> String {
    let (subject, origin) = who(&transition.subject);
    let origin = match &transition.subject {
        Subject::Prefix { .. } if !origin.is_empty() => format!(" ({origin})"),
        _ => String::new(),
    };
    let mut page = format!(
        "{subject}{origin}  {}  {}\n\n",
        change(transition, style).trim_end(),
        moment(transition.at)
    );
    let mut fact = |name: &str, text: String| {
        let _ = writeln!(page, "  {name:<12} {text}"); // a String takes everything
    };
    fact("id", transition.id().to_string());
    fact("rule", why(transition));
    facts(transition, &mut fact);
    if let Some(evidence) = transition.evidence.as_deref() {
        evidence_facts(transition, evidence, &mut fact);
    }
    page.push_str(&votes(transition));
    if let Some(dns) = transition.dns.as_deref() {
        page.push_str(&views(dns, transition.at));
    }
    page
}

/// Of a name: what each vantage sees of its authorities, and for how long caches still hide a failure.
fn views(dns: &NameEvidence, at: Time) -> String {
    let mut text = String::new();
    // A String takes everything.
    if !dns.vantages.is_empty() {
        text.push_str("\nSeen from\n");
    }
    for view in &dns.vantages {
        let blind = if view.sighted {
            ""
        } else {
            ", but it sees nothing else either: not counted"
        };
        let (ok, of) = (view.servers_ok, view.servers_eligible);
        let _ = writeln!(
            text,
            "  {:<16}  {ok} of {of} name servers answer{blind}",
            view.vantage
        );
    }
    if let Some(until) = dns.masked_until {
        let left = until.since(at) / 1_000_000;
        let until = moment_beside(until, at);
        let _ = match left {
            0.. => writeln!(
                text,
                "\nCaches hide it from some users until {until}, {left} s later"
            ),
            _ => writeln!(text, "\nCaches hid it until {until}"),
        };
    } else if !dns.caches.is_empty() {
        text.push_str("\nCaches\n");
    }
    for view in &dns.caches {
        let verdict = match (view.good, view.stale) {
            (true, true) => "answers from a stale cache".to_owned(),
            (true, false) => "answers".to_owned(),
            (false, _) => "does not answer".to_owned(),
        };
        let until = view.until.map_or(String::new(), |until| {
            format!(", cached until {}", moment_beside(until, at))
        });
        let _ = writeln!(
            text,
            "  {:<16}  {}  {verdict}{until}",
            view.vantage, view.resolver
        );
    }
    text
}

/// A name of the model in words: `authority_unreachable` is `authority unreachable`.
pub fn words(value: &impl Serialize) -> String {
    let word = serde_json::to_value(value).unwrap_or_default();
    word.as_str().unwrap_or_default().replace('_', " ")
}

fn facts(transition: &Transition, fact: &mut impl FnMut(&str, String)) {
    if let (Some(seen), Some(of)) = (transition.peers_seen, transition.peers_eligible) {
        let share = transition
            .visibility
            .map_or(String::new(), |share| format!("{:.0} %: ", share * 100.0));
        let unknown = transition.peers_unknown.unwrap_or_default();
        fact(
            "measured",
            format!("{share}{seen} of {of} peer ASes have it, {unknown} are unknown"),
        );
    }
    if let (Some(ok), Some(of)) = (transition.servers_ok, transition.servers_eligible) {
        fact("servers", format!("{ok} of {of} answer"));
    }
    if let (Some(ok), Some(of)) = (transition.resolvers_ok, transition.resolvers_eligible) {
        fact("resolvers", format!("{ok} of {of} answer"));
    }
    if let Some(finding) = transition.finding {
        fact("finding", words(&finding));
    }
    fact(
        "first loss",
        moment_beside(transition.first_evidence_at, transition.at),
    );
    match transition.baseline {
        Some(Baseline::Held) => fact(
            "baseline",
            "held: peer ASes that had it unbroken for long enough".to_owned(),
        ),
        Some(Baseline::Inferred) => fact(
            "baseline",
            "inferred: peer ASes whose own withdrawals prove that they had it".to_owned(),
        ),
        None => {}
    }
    match transition.cover {
        Some(Cover::SameOrigin) => fact(
            "cover",
            "a shorter prefix of the same origin is still there".to_owned(),
        ),
        Some(Cover::OtherOrigin) => fact(
            "cover",
            "a shorter prefix of another origin is still there".to_owned(),
        ),
        Some(Cover::None) => fact("cover", "none: no shorter prefix is there".to_owned()),
        None => {}
    }
    let marks = [
        (transition.watched, "watched"),
        (transition.beacon, "beacon"),
        (transition.healed, "told by an archive"),
    ];
    let marks: Vec<&str> = marks
        .iter()
        .filter(|(is_so, _)| *is_so)
        .map(|(_, word)| *word)
        .collect();
    if !marks.is_empty() {
        fact("marks", marks.join(", "));
    }
}

fn evidence_facts(transition: &Transition, evidence: &Evidence, fact: &mut impl FnMut(&str, String)) {
    if let Some(share) = &evidence.share {
        fact("measured", share_sentence(share));
        return;
    }
    if let Some(since) = evidence.since {
        let since = moment_beside(since, transition.at);
        fact(
            "held",
            format!(
                "since {since}, so it was decided at the end of {} s",
                evidence.hold_s
            ),
        );
    }
    fact(
        "known",
        format!("{:.0} % of the baseline, by weight", evidence.known * 100.0),
    );
    let one = match evidence.lost.len() {
        0 => String::new(),
        _ => format!(
            "; {:.0} % of the lost weight is one of them",
            evidence.one_collector * 100.0
        ),
    };
    fact("collectors", format!("{}{one}", evidence.collectors));
}

/// `Lost by 31 peer ASes`, one a line in order of time; then the others.
fn votes(transition: &Transition) -> String {
    let Some(evidence) = transition.evidence.as_deref() else {
        return String::new();
    };
    let mut text = String::new();
    let lost: Vec<Peer> = peers(transition)
        .into_iter()
        .filter(|peer| peer.verdict == "lost")
        .collect();
    if !lost.is_empty() {
        let _ = writeln!(text, "\nLost by {}", count(lost.len()));
    }
    for peer in &lost {
        let at = peer.at.unwrap_or_default();
        let after = at.since(transition.first_evidence_at) as f64 / 1e6;
        let inferred = match peer.inferred {
            Some(true) => "  (inferred: missing after its session came back)",
            _ => "",
        };
        let _ = writeln!(
            text,
            "  {}  {after:>+9.1} s  {}{inferred}",
            moment_beside(at, transition.at),
            peer.peer_asn
        );
    }
    for (title, asns) in [
        ("Kept by", &evidence.kept),
        ("Unknown at", &evidence.unknown),
        ("No vote (zombies):", &evidence.zombies),
    ] {
        if !asns.is_empty() {
            let list: Vec<String> = asns.iter().map(Asn::to_string).collect();
            let _ = writeln!(text, "\n{title} {}\n  {}", count(asns.len()), list.join(" "));
        }
    }
    text
}

fn count(peers: usize) -> String {
    match peers {
        1 => "1 peer AS".to_owned(),
        many => format!("{many} peer ASes"),
    }
}

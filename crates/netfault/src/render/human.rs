//! One output of the engine as one line for people.

use netfault_model::{
    Baseline, Cover, Family, Feed, FeedState, Finding, Gap, Output, Share, State, Subject, Transition,
};

use super::style::{Style, moment, moment_beside};
use super::told;

/// One line, without the line end. Columns are padded to what fits most lines; a longer one pushes the rest.
pub fn human_line(output: &Output, style: Style) -> String {
    match output {
        Output::Transition(transition) => self::transition(transition, style),
        Output::Incident(incident) => told::incident(incident, style),
        Output::Notable(notable) => told::notable(notable, style),
        Output::Delegation(delegation) => told::delegation(delegation, style),
        Output::Gap(gap) => self::gap(gap, style),
        Output::Feed(feed) => self::feed(feed, style),
    }
}

/// `degrading → OUT`: the state that matters most is also loud without colour.
pub fn change(transition: &Transition, style: Style) -> String {
    let loud = matches!(transition.to, State::Out | State::Gone);
    let to = if loud {
        transition.to.name().to_uppercase()
    } else {
        transition.to.name().to_owned()
    };
    let plain = format!("{} → {to}", transition.from.name());
    // Padding counts letters, so it comes before the colour.
    let pad = " ".repeat(22_usize.saturating_sub(plain.chars().count()));
    format!(
        "{} → {}{pad}",
        transition.from.name(),
        style.state(transition.to, &to)
    )
}

fn transition(transition: &Transition, style: Style) -> String {
    let (subject, origin) = who(&transition.subject);
    let facts = match &transition.subject {
        Subject::Prefix { .. } => peers(transition),
        Subject::Name { .. } => servers(transition),
        Subject::Origin { .. } | Subject::Country { .. } => shares(transition),
        Subject::Service { .. } => String::new(), // no state of its own
    };
    let mut line = format!(
        "{}  {subject:<18}  {origin:<9}  {}  {facts}",
        moment(transition.at),
        change(transition, style)
    );
    if falling(transition.to) {
        let word = if matches!(transition.subject, Subject::Name { .. }) {
            "failing"
        } else {
            "lost"
        };
        line.push_str(&format!(
            ", {word} since {}",
            moment_beside(transition.first_evidence_at, transition.at)
        ));
    }
    for caveat in caveats(transition) {
        line.push_str(", ");
        line.push_str(&caveat);
    }
    line
}

/// A subject in two columns: itself, and its origin AS.
pub fn who(subject: &Subject) -> (String, String) {
    match subject {
        Subject::Prefix { prefix, origin } => (
            prefix.to_string(),
            origin.map_or(String::new(), |origin| origin.to_string()),
        ),
        Subject::Name { name } => (name.clone(), String::new()),
        Subject::Origin { origin } => (origin.to_string(), "all of it".to_owned()),
        Subject::Country { country } => (country.to_string(), "country".to_owned()),
        Subject::Service { service } => (service.clone(), "service".to_owned()),
    }
}

fn falling(to: State) -> bool {
    matches!(
        to,
        State::Degrading | State::Degraded | State::Partial | State::Out | State::Gone
    )
}

fn peers(transition: &Transition) -> String {
    let (Some(seen), Some(of)) = (transition.peers_seen, transition.peers_eligible) else {
        return "visibility not known".to_owned();
    };
    let still = if falling(transition.to) { " still" } else { "" };
    let share = transition
        .visibility
        .map_or(String::new(), |v| format!(" ({:.0} %)", v * 100.0));
    format!("{seen} of {of} peer ASes{still} see it{share}")
}

/// Of an origin or a country: `150 of 160 prefixes and 94 % of the IPv4 space are down`.
fn shares(transition: &Transition) -> String {
    let share = transition.evidence.as_deref().and_then(|evidence| evidence.share);
    let Some(share) = share else {
        return "what is down is not known".to_owned();
    };
    share_sentence(&share)
}

pub fn share_sentence(share: &Share) -> String {
    let family = match share.family {
        Family::V4 => "IPv4",
        Family::V6 => "IPv6",
    };
    let percent = match share.space > 0.0 {
        true => 100.0 * share.space_down / share.space,
        false => 0.0,
    };
    let origins = match (share.origins_down, share.origins) {
        (Some(down), Some(of)) => format!("{down} of {of} origins, "),
        _ => String::new(),
    };
    format!(
        "{origins}{} of {} prefixes and {percent:.0} % of the {family} space are down",
        share.prefixes_down, share.prefixes
    )
}

fn servers(transition: &Transition) -> String {
    let count = |ok: Option<u32>, of: Option<u32>, what: &str| Some(format!("{} of {} {what}", ok?, of?));
    let counts = [
        count(transition.servers_ok, transition.servers_eligible, "name servers"),
        count(
            transition.resolvers_ok,
            transition.resolvers_eligible,
            "resolvers",
        ),
    ];
    let counts: Vec<String> = counts.into_iter().flatten().collect();
    let mut text = if counts.is_empty() {
        "nobody answered".to_owned()
    } else {
        format!("{} answer", counts.join(" and "))
    };
    if let Some(finding) = transition.finding.filter(|finding| *finding != Finding::None) {
        // The word of the JSON, with blanks.
        let word = serde_json::to_value(finding)
            .ok()
            .and_then(|word| word.as_str().map(str::to_owned));
        text.push_str(&format!(" ({})", word.unwrap_or_default().replace('_', " ")));
    }
    text
}

fn caveats(transition: &Transition) -> Vec<String> {
    let mut said = Vec::new();
    match transition.cover {
        Some(Cover::SameOrigin) => said.push("covered by a shorter prefix".to_owned()),
        Some(Cover::OtherOrigin) => said.push("covered by a shorter prefix of another origin".to_owned()),
        Some(Cover::None) | None => {}
    }
    if let Some(unknown) = transition.peers_unknown.filter(|&unknown| unknown > 0) {
        said.push(format!("{unknown} unknown"));
    }
    if transition.baseline == Some(Baseline::Inferred) {
        said.push("inferred baseline".to_owned());
    }
    if transition.beacon {
        said.push("beacon".to_owned());
    }
    if transition.healed {
        said.push("told by an archive".to_owned());
    }
    said
}

fn gap(gap: &Gap, style: Style) -> String {
    let source = serde_json::to_value(gap.source)
        .ok()
        .and_then(|word| word.as_str().map(str::to_owned));
    let place = match (gap.peer, gap.collector) {
        (Some(peer), _) => peer.to_string(),
        (None, Some(collector)) => collector.to_string(),
        (None, None) => source.unwrap_or_default(),
    };
    let mut line = format!("{}  {place:<18}  {:<9}  gap: {}", moment(gap.at), "", gap.reason);
    if let Some(offset) = gap.offset {
        line.push_str(&format!(" at byte {offset}"));
    }
    if let Some(lost) = gap.lost {
        line.push_str(&format!(", {lost} messages lost"));
    }
    if let (Some(from), Some(to)) = (gap.from, gap.to) {
        line.push_str(&format!(
            ", missing {} to {}",
            moment_beside(from, gap.at),
            moment_beside(to, gap.at)
        ));
    }
    style.dim(&line)
}

fn feed(feed: &Feed, style: Style) -> String {
    let who = feed
        .peer
        .map_or_else(|| feed.collector.to_string(), |peer| peer.to_string());
    let state = match feed.state {
        FeedState::Up => "up",
        FeedState::Syncing => "syncing",
        FeedState::Suspect => "suspect",
        FeedState::Down => "down",
    };
    style.dim(&format!(
        "{}  {who:<18}  {:<9}  feed {state}: {}",
        moment(feed.at),
        "",
        feed.reason
    ))
}

#[cfg(test)]
mod tests {
    use super::super::event::samples;
    use super::*;

    const PLAIN: Style = Style { colour: false };

    #[test]
    fn a_transition_reads_at_three_in_the_morning() {
        assert_eq!(
            human_line(&Output::Transition(Box::new(samples::transition())), PLAIN),
            "2008-02-24 02:03:42Z  84.205.71.0/24      AS12654    degrading → OUT         \
             7 of 38 peer ASes still see it (18 %), lost since 02:01:13"
        );
    }

    #[test]
    fn every_kind_has_its_line() {
        let lines: Vec<String> = samples::outputs()
            .iter()
            .map(|output| human_line(output, PLAIN))
            .collect();
        let expected = [
            "2008-02-24 02:00:00Z  route-views2                   gap: bad record length at byte 15024",
            "2008-02-24 02:00:00Z  AS64500 192.0.2.1 at route-views2             gap: bad record length at byte 15024, 7 messages lost",
            "2008-02-24 02:03:42Z  84.205.71.0/24      AS12654    degrading → OUT         7 of 38 peer ASes still see it (18 %), lost since 02:01:13",
            "2008-02-24 02:03:42Z  www.example.com                partial → OUT           0 of 4 name servers and 1 of 2 resolvers answer (authority unreachable), failing since 02:01:13",
            "2008-02-24 02:03:42Z  2001:db8::/32                  degrading → unknown     7 of 38 peer ASes see it (18 %), covered by a shorter prefix of another origin, inferred baseline",
            "2008-02-24 02:10:00Z  AS64500 192.0.2.1 at route-views2             feed suspect: silent for 183 s",
            "2008-02-24 02:10:00Z  route-views2                   feed up: silent for 183 s",
            "2008-02-24 02:03:42Z  AS19834             all of it  degrading → OUT         150 of 160 prefixes and 94 % of the IPv4 space are down, lost since 02:01:13, told by an archive",
            "2008-02-24 02:03:42Z  INCIDENT            opened     AS12654 withdrew 1 of its 1 prefixes since 02:01:13 (severity 3, 90 % sure, watched; netfault explain 0123456789abcdef)",
            "2008-02-24 02:03:42Z  INCIDENT            resolved   AS12654 withdrew 1 of its 1 prefixes since 02:01:13 (severity 3, 90 % sure, watched; netfault explain 0123456789abcdef)",
            "2008-02-24 02:03:42Z  INCIDENT            merged     AS12654 withdrew 1 of its 1 prefixes since 02:01:13 (severity 3, 90 % sure, watched, beacon; netfault explain 0123456789abcdef)",
            "2008-02-24 18:48:09Z  208.65.153.0/24     AS17557    note: origin change     AS17557 announces a part of 208.65.152.0/22 of AS36561, seen by 3 peer ASes",
            "2008-02-24 18:48:09Z  all feeds                      note: baseline over     9 % of all prefixes have a baseline (watched)",
            "2008-02-24 02:03:42Z  www.example.com                partial → OUT           0 of 4 name servers and 1 of 2 resolvers answer (authority unreachable), failing since 02:01:13",
            "2008-02-24 02:03:42Z  www.example.com     delegation           zone example.com: 2 addresses of name servers in 192.0.2.0/24 (AS64500), 2001:db8::/32",
            "2008-02-24 02:03:42Z  www.example.com     delegation           zone not found: 0 addresses of name servers",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn colour_changes_nothing_but_colour() {
        let output = Output::Transition(Box::new(samples::transition()));
        let coloured = human_line(&output, Style { colour: true });
        assert!(coloured.contains("\x1b[1;31mOUT\x1b[0m"));
        let bare = coloured.replace("\x1b[1;31m", "").replace("\x1b[0m", "");
        assert_eq!(bare, human_line(&output, PLAIN));
    }

    #[test]
    fn a_loss_of_another_day_is_dated() {
        let mut transition = samples::transition();
        transition.first_evidence_at = "2008-02-23T23:59:59Z".parse().unwrap();
        let line = human_line(&Output::Transition(Box::new(transition)), PLAIN);
        assert!(line.ends_with("lost since 2008-02-23 23:59:59Z"), "{line}");
    }
}

use super::*;

const NOW: Time = Time::from_secs(1_774_785_600);

fn services() -> BTreeSet<String> {
    ["Shop", "Mail"].map(str::to_owned).into()
}

fn taken(body: &str) -> Vec<Hint> {
    read(body.as_bytes(), &services(), "helpdesk", NOW).unwrap()
}

#[track_caller]
fn refused(body: &str) -> String {
    read(body.as_bytes(), &services(), "helpdesk", NOW)
        .unwrap_err()
        .to_string()
}

#[test]
fn an_object_an_array_and_lines_say_the_same() {
    let one = r#"{"service":"Shop","interval_s":900,"count":37}"#;
    let other =
        r#"{"service":"Mail","source":"phone","at":"2026-03-29T11:59:00Z","interval_s":60,"count":0.5}"#;
    let both = taken(&format!("[{one}, {other}]"));
    assert_eq!(taken(&format!("{one}\n{other}\n")), both);
    assert_eq!(taken(one), both[..1]);
    let expected = Hint {
        at: NOW,
        arrival: Arrival::InTime,
        service: "Shop".into(),
        source: "helpdesk".into(),
        what: HintKind::Reports {
            interval_s: 900,
            count: 37.0,
            usual: None,
        },
    };
    assert_eq!(both[0], expected);
    assert_eq!(
        (both[1].source.as_str(), both[1].at),
        ("phone", Time::from_secs(1_774_785_540))
    );
}

#[test]
fn traffic_comes_through_the_same_door() {
    let hints =
        taken(r#"{"service":"Shop","at":1774785600,"interval_s":60,"of":"64500","unit":"bytes","value":5}"#);
    let expected = HintKind::Traffic {
        interval_s: 60,
        of: "AS64500".into(),
        unit: "bytes".into(),
        value: 5.0,
        usual: None,
    };
    assert_eq!(hints[0].what, expected);
}

#[test]
fn a_time_far_from_our_clock_is_judged_as_everywhere() {
    let arrival = |at: i64| {
        taken(&format!(
            r#"{{"service":"Shop","at":{at},"interval_s":60,"count":1}}"#
        ))[0]
            .arrival
    };
    let now = NOW.secs();
    assert_eq!(arrival(now - 300), Arrival::InTime);
    assert_eq!(arrival(now - 301), Arrival::Late);
    assert_eq!(arrival(now + 61), Arrival::Early);
    let fast = taken(&format!(
        r#"{{"service":"Shop","at":{},"interval_s":60,"count":1}}"#,
        now + 60
    ));
    assert_eq!((fast[0].at, fast[0].arrival), (NOW, Arrival::InTime));
}

#[test]
fn the_table_of_refusals() {
    for (body, why) in [
        ("", "there is nothing in the body"),
        ("[]", "there is nothing in the body"),
        ("nonsense", "the body is no JSON"),
        (
            r#"{"service":"Shop","interval_s":60,"count":1"#,
            "the body is no JSON",
        ),
        ("7", "item 1: "),
        (
            r#"{"service":"Shop","interval_s":60,"count":1,"colour":"red"}"#,
            "item 1: unknown field `colour`",
        ),
        (
            r#"{"service":"Shop","count":1}"#,
            "item 1: missing field `interval_s`",
        ),
        (
            r#"{"service":"Shop","interval_s":0,"count":1}"#,
            "item 1: interval_s is 1 to 86400",
        ),
        (
            r#"{"service":"Shop","interval_s":60,"count":-1}"#,
            "item 1: count is a number from 0 on",
        ),
        (
            r#"{"service":"Shop","interval_s":60,"count":1e300}"#,
            "item 1: count is a number from 0 on",
        ),
        (
            r#"{"service":"Shop","interval_s":60}"#,
            "item 1: give count for reports",
        ),
        (
            r#"{"service":"Shop","interval_s":60,"count":1,"value":1,"unit":"count"}"#,
            "item 1: give count",
        ),
        (
            r#"{"service":"Shop","interval_s":60,"count":1,"of":"DE"}"#,
            "item 1: give count",
        ),
        (
            r#"{"service":"Shop","interval_s":60,"value":1}"#,
            "item 1: traffic needs the unit",
        ),
        (
            r#"{"service":"Shop","interval_s":60,"value":1,"unit":"bits"}"#,
            "item 1: traffic needs the unit",
        ),
        (
            r#"{"service":"Shop","interval_s":60,"value":1,"unit":"count","of":"de"}"#,
            "item 1: of is a country",
        ),
        (
            r#"{"service":"Shop","interval_s":60,"count":1,"at":"yesterday"}"#,
            "item 1: 'yesterday' is not a time",
        ),
        (
            r#"{"service":"Shop","interval_s":60,"count":1,"at":[]}"#,
            "item 1: a time is RFC 3339",
        ),
        (
            r#"{"service":"Shop","interval_s":60,"count":1,"source":""}"#,
            "item 1: source is a text",
        ),
    ] {
        let said = refused(body);
        assert!(said.starts_with(why), "{body}: {said}");
    }
}

#[test]
fn an_unknown_service_is_named_beside_those_that_are_known() {
    let good = r#"{"service":"Shop","interval_s":60,"count":1}"#;
    let said = refused(&format!("{good}\n{}", good.replace("Shop", "shop")));
    assert_eq!(
        said,
        "item 2: the service 'shop' is not in the configuration, which has Mail, Shop"
    );
}

#[test]
fn a_body_has_a_largest_number_of_items() {
    let good = "{\"service\":\"Shop\",\"interval_s\":60,\"count\":1}\n";
    assert_eq!(taken(&good.repeat(MAX_ITEMS)).len(), MAX_ITEMS);
    assert!(refused(&good.repeat(MAX_ITEMS + 1)).starts_with("more than 5000 items"));
}

/// Nothing that a stranger sends makes it panic.
#[test]
fn random_bytes_are_refused() {
    let mut rng = fastrand::Rng::with_seed(7);
    let good = br#"[{"service":"Shop","interval_s":60,"count":1},{"service":"Mail","interval_s":1,"value":2,"unit":"count"}]"#;
    for _ in 0..2_000 {
        let mut bytes = good.to_vec();
        for _ in 0..rng.usize(1..6) {
            let at = rng.usize(..bytes.len());
            bytes[at] = rng.u8(..);
        }
        bytes.truncate(rng.usize(..=bytes.len()));
        let _ = read(&bytes, &services(), "helpdesk", NOW);
    }
}

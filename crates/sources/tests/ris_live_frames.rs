//! Every trap of the RIS Live wire format, each with a real frame where there is one (`../shared/data/ris-live`,
//! frames of 2019 to 2026), else with a short one of the same shape, made here.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use netfault_model::{Arrival, Asn, Collector, Family, Gap, GapSource, Input, SessionState, Time, Update};
use netfault_sources::ris_live::{Decoder, Lateness, Stats};

/// The real frame that contains all of `parts`; `None`, with a line that says so, without the data.
fn real(test: &str, parts: &[&str]) -> Option<String> {
    let root = std::env::var_os("NETFAULT_SHARED_DATA").map(PathBuf::from);
    let root = root.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"));
    let folder = root.join("ris-live");
    if !folder.is_dir() {
        println!("SKIPPED: ../shared/data is absent: {test}");
        return None;
    }
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let frames: String = files
        .iter()
        .map(|file| std::fs::read_to_string(file).unwrap() + "\n")
        .collect();
    let found = frames
        .lines()
        .find(|line| parts.iter().all(|part| line.contains(part)));
    Some(
        found
            .unwrap_or_else(|| panic!("no frame with {parts:?}"))
            .to_owned(),
    )
}

struct Rig {
    decoder: Decoder,
    stats: Arc<Stats>,
    now: Time,
    out: Vec<Input>,
}

impl Rig {
    fn at(now: &str) -> Self {
        Self::new(Lateness::Judge, now)
    }

    fn new(lateness: Lateness, now: &str) -> Self {
        let stats = Arc::new(Stats::default());
        let decoder = Decoder::new(lateness, 1000, Arc::clone(&stats));
        Rig {
            decoder,
            stats,
            now: now.parse().unwrap(),
            out: Vec::new(),
        }
    }

    fn frame(&mut self, text: &str) -> Vec<Input> {
        self.decoder.text(text, self.now, &mut self.out);
        std::mem::take(&mut self.out)
    }

    /// What is still open a second later.
    fn a_second_later(&mut self) -> Vec<Gap> {
        self.now = self.now.plus_micros(1_000_000);
        self.decoder.tick(self.now, &mut self.out);
        std::mem::take(&mut self.out)
            .into_iter()
            .map(|input| match input {
                Input::Gap(gap) => *gap,
                other => panic!("expected gaps, got {other:?}"),
            })
            .collect()
    }
}

fn one_update(inputs: Vec<Input>) -> Update {
    match <[Input; 1]>::try_from(inputs) {
        Ok([Input::Update(update)]) => update,
        other => panic!("expected one update, got {other:?}"),
    }
}

fn prefixes(nlri: &[netfault_model::Nlri]) -> Vec<String> {
    nlri.iter().map(|route| route.prefix.to_string()).collect()
}

fn asns(path: &[u32]) -> Vec<Asn> {
    path.iter().copied().map(Asn).collect()
}

#[test]
fn announcement_and_withdrawal_of_one_message() {
    let Some(text) = real("announcement_and_withdrawal", &["196.60.9.84", "41.0.0.0/24"]) else {
        return;
    };
    let update = one_update(Rig::at("1789647592").frame(&text));
    assert_eq!(update.at, Time::from_micros(1_789_647_591_230_000));
    assert_eq!(
        update.peer.collector,
        Collector::new("rrc19"),
        "host is rrc19.ripe.net"
    );
    assert_eq!(update.peer.addr, "196.60.9.84".parse::<IpAddr>().unwrap());
    assert_eq!(update.peer.asn, Asn(37697), "peer_asn is a string");
    assert_eq!(update.arrival, Arrival::InTime);
    assert_eq!(prefixes(update.withdrawn()), ["41.0.0.0/24"]);
    assert_eq!(
        prefixes(update.announced()),
        ["102.221.15.0/24", "102.221.16.0/24"]
    );
    let announcement = update.announcement.unwrap();
    assert_eq!(announcement.origin, Some(Asn(328810)));
    assert_eq!(announcement.path.to_vec(), asns(&[37697, 328810]));
}

#[test]
fn withdrawals_have_expanded_zeros_and_an_empty_path() {
    let Some(text) = real("expanded zeros", &["2a01:6e00:0:0:0:0:0:0/48"]) else {
        return;
    };
    let update = one_update(Rig::at("1787141897").frame(&text));
    assert_eq!(prefixes(update.withdrawn()), ["2a01:6e00::/48"]);
    assert_eq!((update.announced().len(), update.announcement), (0, None));
}

#[test]
fn next_hop_may_be_two_addresses() {
    let Some(text) = real("next hop pair", &["2001:7f8:1::a501:3030:1,fe80::"]) else {
        return;
    };
    let update = one_update(Rig::at("1789019607").frame(&text));
    assert_eq!(prefixes(update.announced()), ["2806:320:340::/42"]);
    assert_eq!(update.withdrawn().len(), 9);
    assert_eq!(prefixes(&update.withdrawn()[6..7]), ["2a12:ca40::/29"]);
}

#[test]
fn two_next_hops_with_the_same_prefixes_are_one_announcement() {
    let Some(text) = real(
        "next hop groups of 2021",
        &["fe80::217:a3ff", "10-183678-175313836"],
    ) else {
        return;
    };
    let update = one_update(Rig::at("1636245155").frame(&text));
    let wanted = [
        "2a0e:97c7::/48",
        "2a0e:97c6:fe::/48",
        "2a10:cc42:17b7::/48",
        "2a10:cc42:1feb::/48",
    ];
    assert_eq!(prefixes(update.announced()), wanted);
}

#[test]
fn a_frame_with_nothing_but_raw_is_read_from_raw() {
    let parts = ["\"type\": \"UPDATE\", \"raw\": \"FFFF"];
    let Some(text) = real("raw only", &parts) else {
        return;
    };
    let Some(decoded) = real("raw only", &["fe80::217:a3ff", "10-183678-175313836"]) else {
        return;
    };
    let from_raw = one_update(Rig::at("1636245155").frame(&text));
    let from_fields = one_update(Rig::at("1636245155").frame(&decoded));
    assert_eq!(from_raw, from_fields);
}

#[test]
fn raw_and_decoded_fields_say_the_same() {
    for part in [
        "01a089e0bb060006",
        "01a089e0ccc20002",
        "01a089e0bb060003",
        "1553627987.89-1829343",
    ] {
        let Some(text) = real("raw against fields", &[part]) else {
            return;
        };
        let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let at = json["data"]["timestamp"].as_f64().unwrap() as i64;
        let from_fields = one_update(Rig::at(&at.to_string()).frame(&text));
        for key in ["announcements", "withdrawals", "path"] {
            json["data"].as_object_mut().unwrap().remove(key);
        }
        assert_eq!(
            one_update(Rig::at(&at.to_string()).frame(&json.to_string())),
            from_fields,
            "{part}"
        );
    }
}

#[test]
fn session_states_have_two_spellings_and_three_values() {
    let Some(state) = real("STATE", &["\"type\":\"STATE\",\"state\":\"connected\""]) else {
        return;
    };
    let Some(old) = real("RIS_PEER_STATE", &["RIS_PEER_STATE", "down"]) else {
        return;
    };
    let table = [
        (state.clone(), "1789019602", SessionState::Up),
        (old, "1553625082", SessionState::Down),
        (state.replace("connected", "up"), "1789019602", SessionState::Up),
    ];
    for (text, now, wanted) in table {
        match &Rig::at(now).frame(&text)[..] {
            [Input::Peer(peer)] => assert_eq!(peer.state, wanted, "{text}"),
            other => panic!("{text} gave {other:?}"),
        }
    }
    let mut rig = Rig::at("1789019602");
    assert!(rig.frame(&state.replace("connected", "dancing")).is_empty());
    assert_eq!(rig.a_second_later()[0].reason, "session state that is not known");
}

#[test]
fn open_keepalive_notification_and_unknown_kinds_are_counted() {
    for (kind, now) in [
        ("OPEN", 1789019606),
        ("KEEPALIVE", 1789019619),
        ("NOTIFICATION", 1789019608),
    ] {
        let part = format!("\"type\":\"{kind}\"");
        let Some(text) = real("other kinds", &[part.as_str(), ".ripe.net"]) else {
            return;
        };
        let mut rig = Rig::at(&now.to_string());
        assert!(rig.frame(&text).is_empty(), "{kind}");
        assert_eq!(
            (rig.stats.ignored.get(), rig.stats.garbage.get()),
            (1, 0),
            "{kind}"
        );
        assert!(
            rig.stats.last_message_at.get() > 0,
            "it shows that the feed is alive"
        );
    }
}

#[test]
fn as_set_is_an_array_inside_path() {
    let frame = |path: &str| {
        format!(
            r#"{{"type":"ris_message","data":{{"timestamp":1789647591.23,"peer":"196.60.9.84","peer_asn":"37697","id":"{path}","host":"rrc19.ripe.net","type":"UPDATE","path":{path},"origin":"IGP","announcements":[{{"next_hop":"196.60.10.122","prefixes":["192.0.2.0/24"]}}],"withdrawals":[]}}}}"#
        )
    };
    let table: [(&str, &[u32], Option<u32>); 5] = [
        ("[37697,[64500,64501]]", &[37697, 64500, 64501], None),
        ("[37697,[64500]]", &[37697, 64500], Some(64500)),
        (
            "[37697,[64500,64501],64502]",
            &[37697, 64500, 64501, 64502],
            Some(64502),
        ),
        ("[]", &[], None),
        ("[37697,4200000001]", &[37697, 4_200_000_001], Some(4_200_000_001)),
    ];
    for (path, wanted, origin) in table {
        let update = one_update(Rig::at("1789647592").frame(&frame(path)));
        let announcement = update.announcement.unwrap();
        assert_eq!(announcement.path.to_vec(), asns(wanted), "{path}");
        assert_eq!(announcement.origin, origin.map(Asn), "{path}");
    }
}

#[test]
fn the_prefix_eor_is_an_end_of_rib() {
    let frame = |peer: &str, next_hop: &str| {
        format!(
            r#"{{"type":"ris_message","data":{{"timestamp":1789647591.23,"peer":"{peer}","peer_asn":"37697","id":"{peer}{next_hop}","host":"rrc19.ripe.net","type":"UPDATE","path":[],"announcements":[{{"next_hop":"{next_hop}","prefixes":["eor"]}}],"withdrawals":[]}}}}"#
        )
    };
    let table = [
        ("196.60.9.84", "196.60.9.84", Family::V4),
        ("2001:db8::1", "2001:db8::1,fe80::1", Family::V6),
        ("196.60.9.84", "2001:db8::1", Family::V6),
        ("2001:db8::1", "", Family::V6),
    ];
    for (peer, next_hop, wanted) in table {
        match &Rig::at("1789647592").frame(&frame(peer, next_hop))[..] {
            [Input::EndOfRib { family, .. }] => assert_eq!(*family, wanted, "{peer} {next_hop}"),
            other => panic!("{peer} {next_hop} gave {other:?}"),
        }
    }
}

#[test]
fn an_empty_update_is_an_end_of_rib_only_if_raw_says_so() {
    let frame = |raw: &str| {
        format!(
            r#"{{"type":"ris_message","data":{{"timestamp":1789647591.23,"peer":"196.60.9.84","peer_asn":"37697","id":"a","host":"rrc19.ripe.net","type":"UPDATE","path":[],"announcements":[],"withdrawals":[]{raw}}}}}"#
        )
    };
    let mut rig = Rig::at("1789647592");
    assert!(rig.frame(&frame("")).is_empty());
    assert_eq!((rig.stats.empty.get(), rig.stats.garbage.get()), (1, 0));
    let v4 = format!(r#","raw":"{}00170200000000""#, "FF".repeat(16));
    let v6 = format!(r#","raw":"{}001D0200000006800F03000201""#, "FF".repeat(16));
    for (raw, wanted) in [(v4, Family::V4), (v6, Family::V6)] {
        match &Rig::at("1789647592").frame(&frame(&raw))[..] {
            [Input::EndOfRib { family, .. }] => assert_eq!(*family, wanted),
            other => panic!("{raw} gave {other:?}"),
        }
    }
}

#[test]
fn a_stamp_of_another_day_is_late_or_early_and_counted_once_a_second() {
    let Some(text) = real("days-old stamps", &["37.49.237.143-01a019f537900000"]) else {
        return;
    };
    let mut rig = Rig::at("2026-09-01");
    for n in 0..50 {
        let update = one_update(rig.frame(&text.replace("900000", &format!("9{n:05}"))));
        assert_eq!(update.arrival, Arrival::Late);
        assert_eq!(
            update.at,
            Time::from_micros(1_787_141_896_080_000),
            "its own time is kept"
        );
    }
    let gaps = rig.a_second_later();
    assert_eq!(gaps.len(), 1);
    assert_eq!(
        (gaps[0].lost, gaps[0].collector),
        (Some(50), Some(Collector::new("rrc21")))
    );
    assert_eq!(
        (gaps[0].source, &*gaps[0].reason),
        (GapSource::RisLive, "late time stamp")
    );
    assert_eq!(rig.stats.late.get(), 50);
    assert_eq!(
        rig.stats.last_message_at.get(),
        0,
        "a late message does not move time"
    );
}

#[test]
fn late_is_300_seconds_behind_and_early_60_ahead() {
    let Some(text) = real("limits of lateness", &["37.49.237.143-01a019f537900000"]) else {
        return;
    };
    let stamp: i64 = 1_787_141_896_080_000;
    let table = [
        (300_000_000, Arrival::InTime),
        (300_000_001, Arrival::Late),
        (-60_000_000, Arrival::InTime),
        (-60_000_001, Arrival::Early),
    ];
    for (ahead, wanted) in table {
        let mut rig = Rig::at("0");
        rig.now = Time::from_micros(stamp + ahead);
        assert_eq!(one_update(rig.frame(&text)).arrival, wanted, "{ahead}");
    }
    let mut trusting = Rig::new(Lateness::Trust, "2030-01-01");
    assert_eq!(one_update(trusting.frame(&text)).arrival, Arrival::InTime);
}

#[test]
fn a_late_session_state_is_not_believed() {
    let Some(text) = real("late STATE", &["RIS_PEER_STATE", "down"]) else {
        return;
    };
    let mut rig = Rig::at("2026-09-01");
    assert!(rig.frame(&text).is_empty());
    assert_eq!(rig.a_second_later()[0].lost, Some(1));
}

#[test]
fn a_message_that_comes_twice_counts_once() {
    let Some(text) = real("duplicates", &["196.60.9.84", "41.0.0.0/24"]) else {
        return;
    };
    let mut rig = Rig::at("1789647592");
    assert_eq!(rig.frame(&text).len(), 1);
    assert!(rig.frame(&text).is_empty());
    assert_eq!(rig.stats.duplicates.get(), 1);
    // Without an id the whole text is the key.
    let nameless = text.replace(r#""id":"196.60.9.84-01a0af4f173e0006","#, "");
    assert!(!nameless.contains("\"id\""));
    assert_eq!((rig.frame(&nameless).len(), rig.frame(&nameless).len()), (1, 0));
    assert_eq!(
        rig.frame(&nameless.replace("102.221.16.0", "102.221.17.0")).len(),
        1
    );
}

#[test]
fn what_the_server_says_about_itself_is_no_message() {
    let Some(error) = real("ris_error", &["ris_error"]) else {
        return;
    };
    let mut rig = Rig::at("1789647592");
    let frames = [
        error.as_str(),
        r#"{"type":"ris_subscribe_ok","data":{"subscription":{"type":"UPDATE"},"socketOptions":{}}}"#,
        r#"{"type":"pong","data":null}"#,
        r#"{"type":"pong"}"#,
        r#"{"type":"ris_rrc_list","data":["RRC00","RRC01"]}"#,
    ];
    for frame in frames {
        assert!(rig.frame(frame).is_empty(), "{frame}");
    }
    let stats = &rig.stats;
    assert_eq!(
        (stats.errors.get(), stats.acknowledged.get(), stats.pongs.get()),
        (1, 1, 2)
    );
    assert_eq!((stats.ignored.get(), stats.garbage.get()), (1, 0));
    let gaps = rig.a_second_later();
    assert_eq!(gaps.len(), 1);
    assert_eq!(gaps[0].reason, "RIS Live error: this is a test error message");
}

#[test]
fn garbage_is_a_counted_gap_and_the_next_frame_is_read() {
    let Some(good) = real("garbage", &["196.60.9.84", "41.0.0.0/24"]) else {
        return;
    };
    let Some(truncated) = real(
        "garbage",
        &[
            "1553625034.06",
            "304\", \"host\": \"rrc03\", \"type\": \"KEEPALIVE\"}",
        ],
    ) else {
        return;
    };
    let mut rig = Rig::at("1789647592");
    let truncated = truncated.trim_end_matches('}').to_owned();
    let no_frames = [
        "",
        "hello",
        "[]",
        "null",
        "{}",
        r#"{"type":1}"#,
        r#"{"type":"ris_message","data":[]}"#,
        &truncated,
    ];
    for text in no_frames {
        assert!(rig.frame(text).is_empty(), "{text}");
    }
    rig.decoder.binary(rig.now, &mut rig.out);
    rig.decoder.too_long(rig.now, &mut rig.out);
    assert_eq!(rig.frame(&good).len(), 1);
    let gaps = rig.a_second_later();
    let told: Vec<_> = gaps.iter().map(|gap| (&*gap.reason, gap.lost.unwrap())).collect();
    let wanted = [
        ("binary frame", 1),
        ("frame that is no RIS Live JSON", 8),
        ("frame too long", 1),
    ];
    assert_eq!(told, wanted);
}

#[test]
fn a_message_with_a_field_missing_or_unreadable_is_a_counted_gap() {
    let Some(good) = real("broken fields", &["196.60.9.84", "41.0.0.0/24"]) else {
        return;
    };
    let Some(no_type) = real("broken fields", &["21-594-37970252"]) else {
        return;
    };
    let Some(no_host) = real("broken fields", &["\"192.0.2.1\"", "\"raw\": \"00\""]) else {
        return;
    };
    let table = [
        (no_type, "message without type"),
        (no_host.clone(), "message without host"),
        (
            no_host.replace("\"type\"", "\"host\":\"rrc00\",\"type\""),
            "raw with a BGP message that cannot be read",
        ),
        (good.replace("\"timestamp\"", "\"t\""), "message without time"),
        (good.replace("1789647591.23", "\"noon\""), "message without time"),
        (
            good.replace("\"peer\":\"196", "\"peer\":\"x196"),
            "peer address that cannot be read",
        ),
        (good.replace("\"peer_asn\"", "\"p\""), "message without peer_asn"),
        (
            good.replace("\"announcements\"", "\"a\"")
                .replace("\"withdrawals\"", "\"w\""),
            "UPDATE without routes",
        ),
    ];
    for (text, reason) in table {
        let now = if text.contains("1789647591") || text.contains("noon") {
            "1789647592"
        } else {
            "1636245155"
        };
        let mut rig = Rig::at(now);
        rig.now = if text.contains("1636339375") {
            Time::from_secs(1_636_339_376)
        } else {
            rig.now
        };
        assert!(rig.frame(&text).is_empty(), "{text}");
        let gaps = rig.a_second_later();
        assert_eq!((&*gaps[0].reason, gaps[0].lost), (reason, Some(1)), "{text}");
    }
}

#[test]
fn one_bad_prefix_does_not_take_the_others_with_it() {
    let Some(good) = real("bad prefix", &["196.60.9.84", "41.0.0.0/24"]) else {
        return;
    };
    let mut rig = Rig::at("1789647592");
    let update = one_update(rig.frame(&good.replace("102.221.16.0/24", "102.221.16.0/33")));
    assert_eq!(prefixes(update.announced()), ["102.221.15.0/24"]);
    let gaps = rig.a_second_later();
    assert_eq!(
        (&*gaps[0].reason, gaps[0].collector),
        ("prefix that cannot be read", Some(Collector::new("rrc19")))
    );
}

#[test]
fn a_break_is_a_gap_when_it_begins_and_when_it_ends() {
    let Some(before) = real("breaks", &["01a089e0bb060003"]) else {
        return;
    };
    let Some(after) = real("breaks", &["01a089e0ccc20002"]) else {
        return;
    };
    let mut rig = Rig::at("1789019607");
    rig.frame(&before);
    rig.decoder.broken("reset by peer", rig.now, &mut rig.out);
    let (from, to) = (
        Time::from_micros(1_789_019_601_670_000),
        Time::from_micros(1_789_019_606_210_000),
    );
    match &std::mem::take(&mut rig.out)[..] {
        [Input::Gap(gap)] => {
            assert_eq!(
                (gap.at, gap.from, gap.to, gap.lost),
                (from, Some(from), None, None)
            );
            assert_eq!(gap.reason, "connection lost: reset by peer");
        }
        other => panic!("{other:?}"),
    }
    match &rig.frame(&after)[..] {
        [Input::Gap(gap), Input::Update(_)] => {
            assert_eq!((gap.at, gap.from, gap.to), (to, Some(from), Some(to)))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn dropped_frames_are_a_gap_between_the_messages_around_them() {
    let Some(before) = real("drops", &["01a089e0bb060003"]) else {
        return;
    };
    let Some(after) = real("drops", &["01a089e0ccc20002"]) else {
        return;
    };
    let mut rig = Rig::at("1789019607");
    rig.frame(&before);
    rig.decoder.dropped(3, rig.now);
    rig.decoder.dropped(4, rig.now);
    match &rig.frame(&after)[..] {
        [Input::Gap(gap), Input::Update(update)] => {
            assert_eq!((gap.lost, gap.to), (Some(7), Some(update.at)));
            assert_eq!(gap.from, Some(Time::from_micros(1_789_019_601_670_000)));
        }
        other => panic!("{other:?}"),
    }
    rig.decoder.dropped(2, rig.now);
    let gaps = rig.a_second_later();
    assert_eq!((gaps.len(), gaps[0].lost, gaps[0].to), (1, Some(2), None));
}

//! UPDATE messages: the rules one by one, and generated messages against bgpkit-parser.

use std::net::{IpAddr, Ipv4Addr};

use bgpkit_parser::models::{AsPath, AsPathSegment, AsnLength, BgpMessage};
use bgpkit_parser::parser::bgp::messages::parse_bgp_message;
use bytes::Bytes;
use netfault_model::{Arrival, Asn, Collector, Family, Input, Nlri, Peer, Time};
use netfault_sources::bgp::{Effect, Encoding, Malformed};
use netfault_sources::convert::{Converted, Converter, Session};
use proptest::prelude::*;

const AS2: Encoding = Encoding {
    as4: false,
    add_path: false,
};
const AS4: Encoding = Encoding {
    as4: true,
    add_path: false,
};

fn session() -> Session {
    let addr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    let peer = Peer {
        collector: Collector::new("rrc00"),
        addr,
        asn: Asn(64500),
    };
    Session {
        at: Time::from_secs(1),
        peer,
        arrival: Arrival::InTime,
    }
}

/// An UPDATE body of the three fields.
fn body(withdrawn: &[u8], attributes: &[u8], nlri: &[u8]) -> Vec<u8> {
    let mut all = (withdrawn.len() as u16).to_be_bytes().to_vec();
    all.extend(withdrawn);
    all.extend((attributes.len() as u16).to_be_bytes());
    all.extend(attributes);
    all.extend(nlri);
    all
}

/// An attribute; two octets of length where one does not do, or where asked.
fn attribute(kind: u8, value: &[u8]) -> Vec<u8> {
    let mut all = if value.len() < 256 {
        vec![0x40, kind, value.len() as u8]
    } else {
        let [high, low] = (value.len() as u16).to_be_bytes();
        vec![0x50, kind, high, low]
    };
    all.extend(value);
    all
}

/// AS_PATH segments in the given width.
fn segments(segments: &[(u8, Vec<u32>)], as4: bool) -> Vec<u8> {
    let mut all = Vec::new();
    for (kind, members) in segments {
        all.extend([*kind, members.len() as u8]);
        for asn in members {
            if as4 {
                all.extend(asn.to_be_bytes());
            } else {
                all.extend(u16::try_from(*asn).unwrap_or(23456).to_be_bytes());
            }
        }
    }
    all
}

fn convert(body: &[u8], encoding: Encoding) -> (Vec<Input>, Converted) {
    let mut inputs = Vec::new();
    let done = Converter::default().update(session(), body, encoding, &mut |input| inputs.push(input));
    (inputs, done)
}

/// Origin and path of a message with this AS_PATH and more attributes.
fn path(encoding: Encoding, as_path: &[(u8, Vec<u32>)], more: &[u8]) -> (Option<u32>, Vec<u32>) {
    let mut attributes = attribute(2, &segments(as_path, encoding.as4));
    attributes.extend(more);
    let (inputs, done) = convert(&body(&[], &attributes, &[8, 10]), encoding);
    assert_eq!(done.error, None);
    let [Input::Update(update)] = &inputs[..] else {
        panic!("{inputs:?}")
    };
    let announcement = update.announcement.as_ref().unwrap();
    (
        announcement.origin.map(|asn| asn.0),
        announcement.path.iter().map(|asn| asn.0).collect(),
    )
}

const SET: u8 = 1;
const SEQUENCE: u8 = 2;
const CONFED_SEQUENCE: u8 = 3;
const CONFED_SET: u8 = 4;

#[test]
fn the_origin_is_the_last_as_of_the_path() {
    for (segments, origin, whole) in [
        (vec![(SEQUENCE, vec![1, 2, 3])], Some(3), vec![1, 2, 3]),
        (vec![(SEQUENCE, vec![1]), (SET, vec![5, 4])], None, vec![1, 5, 4]),
        (vec![(SEQUENCE, vec![1]), (SET, vec![5])], Some(5), vec![1, 5]),
        (
            vec![(CONFED_SEQUENCE, vec![65001]), (SEQUENCE, vec![1, 2])],
            Some(2),
            vec![1, 2],
        ),
        (
            vec![(SEQUENCE, vec![1, 2]), (CONFED_SET, vec![65001, 65002])],
            Some(2),
            vec![1, 2],
        ),
        (vec![(CONFED_SEQUENCE, vec![65001])], None, vec![]),
        (vec![], None, vec![]),
    ] {
        assert_eq!(path(AS4, &segments, &[]), (origin, whole.clone()), "{segments:?}");
        assert_eq!(path(AS2, &segments, &[]), (origin, whole), "{segments:?}");
    }
}

#[test]
fn as4_path_is_merged_as_rfc_6793_says() {
    let trans = 23456;
    let as4 = |path: &[(u8, Vec<u32>)]| attribute(17, &segments(path, true));
    let two = [(SEQUENCE, vec![1, trans, trans])];
    let four = as4(&[(SEQUENCE, vec![70000, 80000])]);
    assert_eq!(path(AS2, &two, &four), (Some(80000), vec![1, 70000, 80000]));
    // A speaker of four octets does not send it.
    assert_eq!(path(AS4, &two, &four), (Some(trans), vec![1, trans, trans]));
    // Longer than AS_PATH: ignored.
    let long = as4(&[(SEQUENCE, vec![1, 2, 3, 80000])]);
    assert_eq!(path(AS2, &two, &long), (Some(trans), vec![1, trans, trans]));
    // A set counts for one.
    let aggregated = [(SEQUENCE, vec![1, trans]), (SET, vec![7, trans])];
    let four = as4(&[(SEQUENCE, vec![70000]), (SET, vec![7, 80000])]);
    assert_eq!(path(AS2, &aggregated, &four), (None, vec![1, 70000, 7, 80000]));
    // An AGGREGATOR of two octets that is not AS_TRANS, beside an AS4_AGGREGATOR: AS4_PATH is out of date.
    let mut outdated = as4(&[(SEQUENCE, vec![70000, 80000])]);
    outdated.extend(attribute(7, &[0, 9, 10, 0, 0, 1]));
    outdated.extend(attribute(18, &[0, 1, 0, 0, 10, 0, 0, 1]));
    assert_eq!(path(AS2, &two, &outdated), (Some(trans), vec![1, trans, trans]));
}

#[test]
fn a_malformed_as4_path_is_discarded_and_told() {
    let mut attributes = attribute(2, &segments(&[(SEQUENCE, vec![1, 2])], false));
    attributes.extend(attribute(17, &[SEQUENCE, 9, 0, 0]));
    let (inputs, done) = convert(&body(&[], &attributes, &[8, 10]), AS2);
    assert_eq!(
        (inputs.len(), done.error, done.lost),
        (1, Some(Malformed::As4Path), 0)
    );
    assert_eq!(Malformed::As4Path.effect(), Effect::Attribute);
}

/// Neither announced nor withdrawn: see `Effect`.
#[test]
fn an_unreadable_announcement_is_left_out_and_its_withdrawals_count() {
    let good = attribute(2, &segments(&[(SEQUENCE, vec![1, 2])], false));
    for (name, attributes, nlri, error, lost) in [
        (
            "bad segment type",
            attribute(2, &[9, 1, 0, 1]),
            &[8, 10, 8, 11][..],
            Malformed::AsPath,
            2,
        ),
        (
            "segment overrun",
            attribute(2, &[2, 3, 0, 1]),
            &[8, 10],
            Malformed::AsPath,
            1,
        ),
        ("no path", attribute(1, &[0]), &[8, 10], Malformed::NoAsPath, 1),
        (
            "attribute overrun",
            vec![0x40, 2, 200, 1],
            &[8, 10],
            Malformed::AttributeOverrun,
            1,
        ),
        (
            "prefix length",
            good.clone(),
            &[8, 10, 33, 1, 2, 3, 4, 5],
            Malformed::AnnouncedPrefix,
            1,
        ),
        (
            "prefix overrun",
            good.clone(),
            &[8, 10, 24, 1],
            Malformed::AnnouncedPrefix,
            1,
        ),
    ] {
        let (inputs, done) = convert(&body(&[16, 172, 16], &attributes, nlri), AS2);
        assert_eq!((done.error, done.lost), (Some(error), lost), "{name}");
        let [Input::Update(update)] = &inputs[..] else {
            panic!("{name}: {inputs:?}")
        };
        assert_eq!(
            update.withdrawn()[0].prefix.to_string(),
            "172.16.0.0/16",
            "{name}"
        );
        assert!(
            update.announced().is_empty() && update.announcement.is_none(),
            "{name}"
        );
    }
}

#[test]
fn a_broken_withdrawn_field_withdraws_nothing() {
    let good = attribute(2, &segments(&[(SEQUENCE, vec![1, 2])], false));
    let (inputs, done) = convert(&body(&[8, 10, 40, 1, 2], &good, &[8, 11]), AS2);
    assert_eq!((done.error, done.lost), (Some(Malformed::WithdrawnPrefix), 1));
    let [Input::Update(update)] = &inputs[..] else {
        panic!("{inputs:?}")
    };
    assert!(update.withdrawn().is_empty());
    assert_eq!(update.announced()[0].prefix.to_string(), "11.0.0.0/8");
}

#[test]
fn fields_that_overrun_the_message_make_it_useless() {
    assert_eq!(
        convert(&[0, 9, 8, 10], AS2).1.error,
        Some(Malformed::WithdrawnLength)
    );
    assert_eq!(
        convert(&[0, 0, 0, 9, 1], AS2).1.error,
        Some(Malformed::AttributesLength)
    );
    assert_eq!(convert(&[0], AS2).1.error, Some(Malformed::WithdrawnLength));
    assert_eq!(Malformed::AttributesLength.effect(), Effect::Message);
}

#[test]
fn multiprotocol_routes_follow_the_classic_ones() {
    let mut attributes = attribute(2, &segments(&[(SEQUENCE, vec![1, 2])], true));
    let mut reach = vec![0, 2, 1, 16];
    reach.extend([0; 16]);
    reach.extend([0, 32, 0x20, 1, 0xd, 0xb8]);
    attributes.extend(attribute(14, &reach));
    attributes.extend(attribute(15, &[0, 2, 1, 16, 0x3f, 0xff]));
    let (inputs, done) = convert(&body(&[8, 9], &attributes, &[8, 10]), AS4);
    assert_eq!(done, Converted::default());
    let [Input::Update(update)] = &inputs[..] else {
        panic!("{inputs:?}")
    };
    let texts = |nlri: &[Nlri]| {
        nlri.iter()
            .map(|nlri| nlri.prefix.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(texts(update.withdrawn()), ["9.0.0.0/8", "3fff::/16"]);
    assert_eq!(texts(update.announced()), ["10.0.0.0/8", "2001:db8::/32"]);
}

#[test]
fn other_families_are_counted_and_nothing_else() {
    let multicast = attribute(15, &[0, 1, 2, 8, 10]);
    let (inputs, done) = convert(&body(&[], &multicast, &[]), AS4);
    assert_eq!((inputs.len(), done.other_families, done.error), (0, 1, None));
}

#[test]
fn twice_a_multiprotocol_attribute_is_one_too_many() {
    let mut attributes = attribute(15, &[0, 2, 1, 16, 0x3f, 0xff]);
    attributes.extend(attribute(15, &[0, 2, 1, 16, 0x3f, 0xfe]));
    let (_, done) = convert(&body(&[], &attributes, &[]), AS4);
    assert_eq!(done.error, Some(Malformed::DuplicateMp));
}

#[test]
fn end_of_rib_is_an_empty_update_of_its_family() {
    let eor = |body: &[u8]| match &convert(body, AS4).0[..] {
        [Input::EndOfRib { family, .. }] => Some(*family),
        [] => None,
        other => panic!("{other:?}"),
    };
    assert_eq!(eor(&body(&[], &[], &[])), Some(Family::V4));
    assert_eq!(eor(&body(&[], &attribute(15, &[0, 2, 1]), &[])), Some(Family::V6));
    assert_eq!(eor(&body(&[], &attribute(15, &[0, 1, 1]), &[])), Some(Family::V4));
    assert_eq!(
        eor(&body(&[], &attribute(15, &[0, 2, 2]), &[])),
        None,
        "multicast"
    );
    assert_eq!(
        eor(&body(&[], &attribute(1, &[0]), &[])),
        None,
        "attributes and no routes"
    );
}

#[test]
fn path_identifiers_are_read_where_they_are_and_host_bits_cleared() {
    let attributes = attribute(2, &segments(&[(SEQUENCE, vec![1])], true));
    let with_ids = body(
        &[],
        &attributes,
        &[0, 0, 0, 7, 24, 192, 0, 2, 0, 0, 0, 8, 9, 10, 0xff],
    );
    let told = convert(
        &with_ids,
        Encoding {
            as4: true,
            add_path: true,
        },
    )
    .0;
    // The same bytes in a record that does not say ADD-PATH: read so because they cannot be read otherwise.
    let guessed = convert(&with_ids, AS4).0;
    assert_eq!(told, guessed);
    let [Input::Update(update)] = &told[..] else {
        panic!("{told:?}")
    };
    let seen: Vec<(String, u32)> = update
        .nlri
        .iter()
        .map(|nlri| (nlri.prefix.to_string(), nlri.path_id))
        .collect();
    assert_eq!(
        seen,
        [("192.0.2.0/24".to_owned(), 7), ("10.128.0.0/9".to_owned(), 8)]
    );
    // A default route is no path identifier.
    let [Input::Update(update)] = &convert(&body(&[], &attributes, &[0, 24, 192, 0, 2]), AS4).0[..] else {
        panic!()
    };
    assert_eq!(update.nlri.len(), 2);
}

type Routes = Vec<(String, u32)>;

/// A message as it was made.
#[derive(Clone, Debug)]
struct Made {
    encoding: Encoding,
    withdrawn: Vec<(u8, [u8; 16], u32)>,
    announced: Vec<(u8, [u8; 16], u32)>,
    withdrawn6: Vec<(u8, [u8; 16], u32)>,
    announced6: Vec<(u8, [u8; 16], u32)>,
    path: Vec<(u8, Vec<u32>)>,
    as4_path: Option<Vec<(u8, Vec<u32>)>>,
    communities: usize,
}

fn routes(max_len: u8) -> impl Strategy<Value = Vec<(u8, [u8; 16], u32)>> {
    // From /1: bgpkit takes a leading zero octet for the beginning of a path identifier.
    prop::collection::vec((1..=max_len, any::<[u8; 16]>(), 1u32..9), 0..20)
}

fn as_path() -> impl Strategy<Value = Vec<(u8, Vec<u32>)>> {
    let asn = prop_oneof![1u32..65_000, 65_536u32..500_000];
    prop::collection::vec((1u8..=4, prop::collection::vec(asn, 1..6)), 0..4)
}

prop_compose! {
    fn made()(
        as4 in any::<bool>(), add_path in any::<bool>(), withdrawn in routes(32), announced in routes(32),
        withdrawn6 in routes(128), announced6 in routes(128), path in as_path(),
        as4_path in prop::option::of(as_path()), communities in 0usize..100,
    ) -> Made {
        let encoding = Encoding { as4, add_path };
        Made { encoding, withdrawn, announced, withdrawn6, announced6, path, as4_path, communities }
    }
}

fn wire(routes: &[(u8, [u8; 16], u32)], add_path: bool) -> Vec<u8> {
    let mut all = Vec::new();
    for (len, addr, path_id) in routes {
        if add_path {
            all.extend(path_id.to_be_bytes());
        }
        all.push(*len);
        all.extend(&addr[..usize::from(len.div_ceil(8))]);
    }
    all
}

impl Made {
    fn body(&self) -> Vec<u8> {
        let add_path = self.encoding.add_path;
        let mut attributes = attribute(1, &[0]);
        attributes.extend(attribute(2, &segments(&self.path, self.encoding.as4)));
        attributes.extend(attribute(8, &vec![7; 4 * self.communities]));
        if !self.announced6.is_empty() {
            let mut value = vec![0, 2, 1, 16];
            value.extend([1; 16]);
            value.push(0);
            value.extend(wire(&self.announced6, add_path));
            attributes.extend(attribute(14, &value));
        }
        if !self.withdrawn6.is_empty() {
            let mut value = vec![0, 2, 1];
            value.extend(wire(&self.withdrawn6, add_path));
            attributes.extend(attribute(15, &value));
        }
        if let Some(path) = &self.as4_path {
            attributes.extend(attribute(17, &segments(path, true)));
        }
        body(
            &wire(&self.withdrawn, add_path),
            &attributes,
            &wire(&self.announced, add_path),
        )
    }
}

/// Withdrawn, announced, origin and path, as bgpkit-parser reads them.
fn read_by_bgpkit(body: &[u8], encoding: Encoding) -> (Routes, Routes, Option<u32>, Vec<u32>) {
    let mut message = vec![0xff; 16];
    message.extend(((body.len() + 19) as u16).to_be_bytes());
    message.push(2);
    message.extend(body);
    let width = if encoding.as4 {
        AsnLength::Bits32
    } else {
        AsnLength::Bits16
    };
    let parsed = parse_bgp_message(&mut Bytes::from(message), encoding.add_path, &width).unwrap();
    let BgpMessage::Update(update) = parsed else {
        panic!("no UPDATE")
    };
    let mp = |nlri: Option<&bgpkit_parser::models::Nlri>| {
        nlri.map(|nlri| nlri.prefixes.clone()).unwrap_or_default()
    };
    let texts = |own: &[bgpkit_parser::models::NetworkPrefix],
                 mp: &[bgpkit_parser::models::NetworkPrefix]| {
        let text = |network: &bgpkit_parser::models::NetworkPrefix| {
            (network.prefix.trunc().to_string(), network.path_id.unwrap_or(0))
        };
        own.iter().chain(mp).map(text).collect::<Routes>()
    };
    let withdrawn = texts(
        &update.withdrawn_prefixes,
        &mp(update.attributes.get_unreachable_nlri()),
    );
    let announced = texts(
        &update.announced_prefixes,
        &mp(update.attributes.get_reachable_nlri()),
    );
    let own = update.attributes.as_path().unwrap();
    let merged = match update.attributes.as4_path() {
        // An AS4_PATH that counts for nothing replaces nothing.
        Some(as4) if !encoding.as4 && as4.route_len() > 0 => AsPath::merge_aspath_as4path(own, as4),
        _ => own.clone(),
    };
    let (mut origin, mut path) = (None, Vec::new());
    for segment in merged.iter_segments() {
        let (members, is_set) = match segment {
            AsPathSegment::AsSequence(members) => (members, false),
            AsPathSegment::AsSet(members) => (members, true),
            _ => continue,
        };
        path.extend(members.iter().map(|asn| asn.to_u32()));
        origin = members
            .last()
            .filter(|_| !is_set || members.len() == 1)
            .map(|asn| asn.to_u32());
    }
    (withdrawn, announced, origin, path)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn generated_messages_are_read_like_bgpkit_reads_them(made in made()) {
        let body = made.body();
        let (withdrawn, announced, origin, path) = read_by_bgpkit(&body, made.encoding);
        let (inputs, done) = convert(&body, made.encoding);
        prop_assert_eq!(done, Converted::default());
        let texts = |nlri: &[Nlri]| nlri.iter().map(|n| (n.prefix.to_string(), n.path_id)).collect::<Routes>();
        match &inputs[..] {
            [Input::Update(update)] => {
                prop_assert_eq!(texts(update.withdrawn()), withdrawn);
                prop_assert_eq!(texts(update.announced()), announced);
                if let Some(announcement) = &update.announcement {
                    prop_assert_eq!(announcement.origin.map(|asn| asn.0), origin);
                    prop_assert_eq!(announcement.path.iter().map(|asn| asn.0).collect::<Vec<_>>(), path);
                }
            }
            [] => prop_assert!(withdrawn.is_empty() && announced.is_empty()),
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        body in prop::collection::vec(any::<u8>(), 0..300), as4 in any::<bool>(), add_path in any::<bool>(),
    ) {
        convert(&body, Encoding { as4, add_path });
    }

    #[test]
    fn a_changed_message_is_read_or_refused(made in made(), hits in prop::collection::vec((any::<u16>(), any::<u8>()), 1..5)) {
        let mut body = made.body();
        let len = body.len();
        for (place, value) in hits {
            body[usize::from(place) % len] = value;
        }
        convert(&body, made.encoding);
        let cut = netfault_sources::bgp::Update::parse_cut(&body, made.encoding);
        Converter::default().parsed(session(), &cut, &mut |_| ());
    }
}

//! Routing beacons: prefixes that are announced and withdrawn by the clock, so that others can measure.
//!
//! They are known by name, never by behaviour: the same outage every night is an outage every night. A
//! listed prefix counts while its listed origin (or none that is known) announces it: some of the old ones have been given to others since.

use std::collections::BTreeMap;

use netfault_model::{Asn, Prefix, State, Time, Transition};
use serde::{Deserialize, Serialize};

/// RIPE RIS (its documents "Routing Beacons" and "Historical List of RIS Routing Beacons"). Third octet of 84.205.x.0/24.
/// Anchors, which are always announced, are left out; 84.205.72.0/24 is both, and never goes as a whole.
const RIS_V4: [u8; 16] = [64, 65, 66, 67, 68, 69, 70, 71, 73, 74, 75, 76, 77, 78, 79, 82];
/// Third octet of 93.175.x.0/24.
const RIS_V4_LATER: [u8; 3] = [149, 151, 153];
/// 2001:7fb:fexx::/48.
const RIS_V6: [u16; 23] = [
    0x00, 0x01, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x10, 0x12, 0x13, 0x14,
    0x15, 0x16, 0x17, 0x18, 0x19, 0x20,
];
/// 2001:7fb:eexx::/48, announced from a whole region at once.
const RIS_V6_REGIONS: std::ops::RangeInclusive<u16> = 0..=5;
const RIS: Asn = Asn(12654);

/// Z. M. Mao et al., "BGP Beacons", IMC 2003, table 1; two of them are in the RouteViews archive of 2008 with these
/// origins. They have schedules of their own.
const PSG: [(&str, u32); 5] = [
    ("198.133.206.0/24", 3130),
    ("192.135.183.0/24", 5637),
    ("203.10.63.0/24", 1221),
    ("198.32.7.0/24", 3944),
    ("192.83.230.0/24", 3130),
];

/// What is done about alerts of beacons.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BeaconMode {
    /// Written down, never alerted on.
    #[default]
    Mute,
    /// Treated like any other prefix, but still marked.
    Report,
}

/// The user's say about beacons.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BeaconSettings {
    /// Beacons of the user's own, besides those that are built in. None.
    pub prefixes: Vec<Prefix>,
    /// Mute.
    pub mode: BeaconMode,
}

/// All beacons that are known by name, and whose they are (`None`: the user's; any origin).
#[derive(Clone, Debug)]
pub struct Beacons {
    known: BTreeMap<Prefix, Option<Asn>>,
}

impl Default for Beacons {
    fn default() -> Self {
        Beacons::new(&BeaconSettings::default())
    }
}

impl Beacons {
    pub fn new(settings: &BeaconSettings) -> Self {
        let ris = RIS_V4
            .iter()
            .map(|octet| format!("84.205.{octet}.0/24"))
            .chain(RIS_V4_LATER.iter().map(|octet| format!("93.175.{octet}.0/24")))
            .chain(
                RIS_V6
                    .iter()
                    .map(|low| format!("2001:7fb:{:x}::/48", 0xfe00 + low)),
            )
            .chain(RIS_V6_REGIONS.map(|low| format!("2001:7fb:{:x}::/48", 0xee00 + low)))
            .filter_map(|text| text.parse().ok())
            .map(|prefix| (prefix, Some(RIS)));
        let psg = PSG
            .iter()
            .filter_map(|&(text, origin)| Some((text.parse().ok()?, Some(Asn(origin)))));
        let own = settings.prefixes.iter().map(|&prefix| (prefix, None));
        Beacons {
            known: ris.chain(psg).chain(own).collect(),
        }
    }

    /// True if `prefix`, announced by `origin`, is a beacon.
    pub fn is_beacon(&self, prefix: Prefix, origin: Option<Asn>) -> bool {
        match self.known.get(&prefix) {
            None => false,
            Some(owner) => owner.is_none() || origin.is_none() || *owner == origin,
        }
    }

    /// True if it follows the schedule of the RIS beacons: announced at 00, 04, …, 20 h UTC, withdrawn at 02, 06, …, 22 h.
    pub fn has_schedule(&self, prefix: Prefix) -> bool {
        self.known.get(&prefix) == Some(&Some(RIS))
    }
}

/// A scheduled announcement or withdrawal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scheduled {
    pub at: Time,
    pub announced: bool,
}

/// The scheduled event that this transition belongs to: Out to the last withdrawal, Recovering to the last announcement,
/// if that is less than two hours ago.
pub fn scheduled(transition: &Transition) -> Option<Scheduled> {
    const HOUR: i64 = 3600;
    let announced = match transition.to {
        State::Out => false,
        State::Recovering => true,
        _ => return None,
    };
    let offset = if announced { 0 } else { 2 * HOUR };
    let into = (transition.at.secs() - offset).rem_euclid(4 * HOUR);
    (into < 2 * HOUR).then(|| Scheduled {
        at: Time::from_secs(transition.at.secs() - into),
        announced,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beacon(prefix: &str, origin: Option<u32>) -> bool {
        Beacons::default().is_beacon(prefix.parse().unwrap(), origin.map(Asn))
    }

    #[test]
    fn beacons_are_known_by_name_and_owner() {
        for (prefix, origin, expected) in [
            ("84.205.71.0/24", Some(12654), true),
            ("84.205.71.0/24", None, true),
            ("84.205.71.0/24", Some(666), false),
            ("2001:7fb:fe0a::/48", Some(12654), true),
            ("2001:7fb:ee03::/48", Some(12654), true),
            ("198.32.7.0/24", Some(3944), true),
            // Given to another network since.
            ("198.133.206.0/24", Some(203_274), false),
            // Anchors.
            ("84.205.80.0/24", Some(12654), false),
            ("2001:7fb:ff00::/48", Some(12654), false),
            ("208.65.152.0/22", Some(36561), false),
        ] {
            assert_eq!(beacon(prefix, origin), expected, "{prefix} {origin:?}");
        }
        let own = BeaconSettings {
            prefixes: vec!["192.0.2.0/24".parse().unwrap()],
            ..BeaconSettings::default()
        };
        assert!(Beacons::new(&own).is_beacon("192.0.2.0/24".parse().unwrap(), Some(Asn(1))));
    }
}

//! The routes of one UPDATE message: from the decoded JSON fields, or from `raw` where they are missing.

use std::net::{IpAddr, Ipv6Addr};

use netfault_model::{Announcement, Asn, Family, Nlri, Prefix};
use rustc_hash::FxHashSet;

use super::frame::{Announced, Message, Path, Text};
use super::raw;

/// What one UPDATE says, in the shape of [`netfault_model::Update`].
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Routes {
    pub nlri: Box<[Nlri]>,
    pub announced_from: u32,
    pub announcement: Option<Announcement>,
    pub end_of_rib: Option<Family>,
    /// Prefixes that could not be read.
    pub unreadable: u32,
}

/// The prefix that stands for an End-of-RIB.
const END_OF_RIB: &str = "eor";

/// `Err` says in a few words why the message cannot be read.
pub fn read(message: &Message, peer: IpAddr) -> Result<Routes, &'static str> {
    let hex = message.raw.as_ref().map(Text::as_str);
    let fields = message.announcements.as_deref().unwrap_or_default();
    let withdrawals = message.withdrawals.as_deref().unwrap_or_default();
    if fields.is_empty() && withdrawals.is_empty() {
        return match hex {
            Some(hex) => raw::decode(hex),
            None if message.announcements.is_none() && message.withdrawals.is_none() => {
                Err("UPDATE without routes")
            }
            None => Ok(Routes::default()),
        };
    }
    let mut list = List::default();
    list.add(withdrawals);
    let announced_from = list.nlri.len();
    for group in fields {
        list.add(&group.prefixes);
    }
    if fields.len() > 1 {
        // Until 2021 a next hop of two addresses came as two groups with the same prefixes.
        drop_repeats(&mut list.nlri, announced_from);
    }
    let announces = list.nlri.len() > announced_from;
    Ok(Routes {
        nlri: list.nlri.into_boxed_slice(),
        announced_from: announced_from as u32,
        announcement: announces.then(|| announcement(message.path.as_ref())),
        end_of_rib: list.end_of_rib.then(|| family(hex, fields, peer)),
        unreadable: list.unreadable,
    })
}

#[derive(Default)]
struct List {
    nlri: Vec<Nlri>,
    end_of_rib: bool,
    unreadable: u32,
}

impl List {
    fn add(&mut self, prefixes: &[Text]) {
        self.nlri.reserve(prefixes.len());
        for prefix in prefixes {
            match prefix.as_str() {
                END_OF_RIB => self.end_of_rib = true,
                text => match text.parse::<Prefix>() {
                    Ok(prefix) => self.nlri.push(Nlri { prefix, path_id: 0 }),
                    Err(_) => self.unreadable += 1,
                },
            }
        }
    }
}

fn drop_repeats(nlri: &mut Vec<Nlri>, from: usize) {
    let mut seen = FxHashSet::default();
    let mut at = 0;
    nlri.retain(|route| {
        at += 1;
        at <= from || seen.insert(route.prefix)
    });
}

fn announcement(path: Option<&Path>) -> Announcement {
    let Some(path) = path else {
        return Announcement {
            origin: None,
            path: Box::default(),
        };
    };
    let origin = if path.last == 1 {
        path.asns.last().copied().map(Asn)
    } else {
        None
    };
    Announcement {
        origin,
        path: path.asns.iter().copied().map(Asn).collect(),
    }
}

/// The family of an End-of-RIB: the hex knows; else by the next hop beside it; else by the peer's address,
/// since most collectors hold one session per family.
fn family(hex: Option<&str>, fields: &[Announced], peer: IpAddr) -> Family {
    if let Some(family) = hex
        .and_then(|hex| raw::decode(hex).ok())
        .and_then(|routes| routes.end_of_rib)
    {
        return family;
    }
    let next_hop = fields
        .iter()
        .find_map(|group| group.next_hop.as_ref())
        .and_then(|hop| {
            // "global,link-local" (RFC 2545 §3)
            hop.as_str().split(',').next()?.trim().parse::<IpAddr>().ok()
        });
    match next_hop
        .filter(|hop| *hop != IpAddr::V6(Ipv6Addr::UNSPECIFIED))
        .unwrap_or(peer)
    {
        IpAddr::V4(_) => Family::V4,
        IpAddr::V6(_) => Family::V6,
    }
}

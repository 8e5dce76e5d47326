//! Which AS answers for a route.

use netfault_model::{Announcement, Asn};

/// AS_TRANS (RFC 6793 §9): some AS of four octets, seen by a router that knows two.
const AS_TRANS: u32 = 23456;

/// Private use (RFC 6996) and the last numbers of each size (RFC 7300).
fn is_private(asn: Asn) -> bool {
    matches!(asn.0, 64_512..=65_535 | 4_200_000_000..=u32::MAX)
}

/// True if the number stands for one AS: not AS0 (RFC 7607), not AS_TRANS.
pub fn is_named(asn: &Asn) -> bool {
    !matches!(asn.0, 0 | AS_TRANS)
}

/// The AS that answers for the route: the last of its path. A private number at the end belongs to a customer of the
/// AS before it, which should have taken it off, so that AS answers; in a network that has only private numbers
/// they are as good as any. `None` where nobody can be named: AS_SET, AS0 (RFC 7607), AS_TRANS.
pub fn accountable(announcement: &Announcement) -> Option<Asn> {
    let origin = announcement.origin.filter(is_named)?;
    if !is_private(origin) {
        return Some(origin);
    }
    let public = announcement.path.iter().rev().find(|&&asn| !is_private(asn));
    public.map_or(Some(origin), |asn| Some(*asn).filter(is_named))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(origin: Option<u32>, path: &[u32]) -> Option<u32> {
        let path = path.iter().map(|&asn| Asn(asn)).collect();
        accountable(&Announcement {
            origin: origin.map(Asn),
            path,
        })
        .map(|asn| asn.0)
    }

    #[test]
    fn somebody_answers_or_nobody_is_blamed() {
        for (origin, path, expected) in [
            (Some(36561), vec![2914, 3549, 36561], Some(36561)),
            (None, vec![2914, 3549, 1, 2], None),
            (Some(0), vec![2914, 0], None),
            (Some(23456), vec![2914, 23456], None),
            (Some(65001), vec![2914, 3549, 65001, 65001], Some(3549)),
            (Some(4_200_000_001), vec![2914, 4_200_000_001], Some(2914)),
            (Some(65001), vec![64999, 65001], Some(65001)),
            (Some(65001), vec![23456, 65001], None),
        ] {
            assert_eq!(of(origin, &path), expected, "{path:?}");
        }
    }
}

//! AS_PATH (RFC 4271 §4.3, RFC 5065), merged with AS4_PATH (RFC 6793 §4.2.3).

use netfault_model::Asn;

use super::Malformed;

const AS_SET: u8 = 1;
const AS_SEQUENCE: u8 = 2;
const CONFED_SEQUENCE: u8 = 3;
const CONFED_SET: u8 = 4;

/// One segment; its AS numbers are still in wire form.
#[derive(Clone, Copy, Debug)]
struct Segment<'a> {
    kind: u8,
    asns: &'a [u8],
    as4: bool,
}

impl<'a> Segment<'a> {
    fn is_confed(&self) -> bool {
        matches!(self.kind, CONFED_SEQUENCE | CONFED_SET)
    }

    fn width(&self) -> usize {
        if self.as4 { 4 } else { 2 }
    }

    fn count(&self) -> usize {
        self.asns.len() / self.width()
    }

    /// How many ASes it counts for (RFC 4271 §9.1.2.2 a: a set is one; RFC 5065 §5.3: a confederation none).
    fn route_len(&self) -> usize {
        match self.kind {
            AS_SEQUENCE => self.count(),
            AS_SET => self.count().min(1),
            _ => 0,
        }
    }

    fn iter(&self) -> impl DoubleEndedIterator<Item = Asn> + 'a {
        let as4 = self.as4;
        self.asns.chunks_exact(self.width()).map(move |octets| {
            Asn(match octets {
                [a, b, c, d] if as4 => u32::from_be_bytes([*a, *b, *c, *d]),
                [a, b, ..] => u32::from(u16::from_be_bytes([*a, *b])),
                _ => 0, // chunks_exact gives two or four
            })
        })
    }
}

/// Walks the segments of one attribute.
#[derive(Clone, Copy, Debug)]
struct Segments<'a> {
    bytes: &'a [u8],
    as4: bool,
}

impl<'a> Iterator for Segments<'a> {
    type Item = Result<Segment<'a>, Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.bytes.is_empty() {
            return None;
        }
        let width = if self.as4 { 4 } else { 2 };
        let parsed = (|| {
            let [kind, count] = *super::take::<2>(&mut self.bytes)?;
            let asns = super::take_slice(&mut self.bytes, usize::from(count) * width)?;
            (AS_SET..=CONFED_SET).contains(&kind).then_some(Segment {
                kind,
                asns,
                as4: self.as4,
            })
        })();
        if parsed.is_none() {
            self.bytes = &[];
        }
        Some(parsed.ok_or(Malformed::AsPath))
    }
}

/// The path of an announcement, undecoded until asked.
#[derive(Clone, Copy, Debug)]
pub struct AsPath<'a> {
    own: Segments<'a>,
    as4: Option<Segments<'a>>,
}

impl<'a> AsPath<'a> {
    /// The path of a route that nobody has passed on.
    pub const EMPTY: AsPath<'static> = AsPath {
        own: Segments {
            bytes: &[],
            as4: true,
        },
        as4: None,
    };

    /// `as_path` has AS numbers of four octets if `wide`; then `as4_path` is not looked at, as a speaker
    /// of four octets must not send it (RFC 6793 §4.1).
    pub(super) fn new(as_path: &'a [u8], as4_path: Option<&'a [u8]>, wide: bool) -> Self {
        let as4 = as4_path
            .filter(|_| !wide)
            .map(|bytes| Segments { bytes, as4: true });
        AsPath {
            own: Segments {
                bytes: as_path,
                as4: wide,
            },
            as4,
        }
    }

    /// The AS that originated the route: the last of the path, confederations left out. `None` when the
    /// path is empty or ends in an AS_SET of more than one member.
    ///
    /// # Errors
    /// [`Malformed::AsPath`].
    #[inline]
    pub fn origin(&self) -> Result<Option<Asn>, Malformed> {
        if self.as4.is_some()
            && let (Some(merged), _) = self.merged()?
            && let tail @ Some(_) = last_segment(merged)?
        {
            return Ok(origin_of(tail));
        }
        Ok(origin_of(last_segment(self.own)?))
    }

    /// Appends the whole path to `out`, members of sets in wire order, confederations left out. On an
    /// error `out` keeps what was there before.
    ///
    /// # Errors
    /// [`Malformed::AsPath`].
    pub fn append_to(&self, out: &mut Vec<Asn>) -> Result<(), Malformed> {
        let start = out.len();
        self.try_append(out).inspect_err(|_| out.truncate(start))
    }

    /// True if there is an AS4_PATH that cannot be read (and is ignored).
    pub fn as4_path_is_malformed(&self) -> bool {
        self.as4
            .is_some_and(|mut segments| segments.any(|segment| segment.is_err()))
    }

    fn try_append(&self, out: &mut Vec<Asn>) -> Result<(), Malformed> {
        let (tail, mut leading) = self.merged()?;
        for segment in self.own {
            let segment = segment?;
            if segment.is_confed() || leading == 0 {
                continue;
            }
            if segment.kind == AS_SET {
                leading -= segment.route_len();
                out.extend(segment.iter());
            } else {
                let kept = segment.count().min(leading);
                leading -= kept;
                out.extend(segment.iter().take(kept));
            }
        }
        for segment in tail.into_iter().flatten() {
            let segment = segment?;
            if !segment.is_confed() {
                out.extend(segment.iter());
            }
        }
        Ok(())
    }

    /// What replaces the end of the path, and how many leading ASes of the path itself are kept before
    /// it. RFC 6793 §4.2.3: AS4_PATH counts only if it is whole and not longer than AS_PATH.
    fn merged(&self) -> Result<(Option<Segments<'a>>, usize), Malformed> {
        let Some(as4) = self.as4 else {
            return Ok((None, usize::MAX));
        };
        let own_len = route_len(self.own)?;
        match route_len(as4) {
            Ok(as4_len) if as4_len > 0 && as4_len <= own_len => Ok((Some(as4), own_len - as4_len)),
            _ => Ok((None, usize::MAX)),
        }
    }
}

fn route_len(mut segments: Segments<'_>) -> Result<usize, Malformed> {
    segments.try_fold(0, |sum, segment| Ok(sum + segment?.route_len()))
}

/// The last segment that has members and is no confederation.
#[inline]
fn last_segment(segments: Segments<'_>) -> Result<Option<Segment<'_>>, Malformed> {
    let mut last = None;
    for segment in segments {
        let segment = segment?;
        if !segment.is_confed() && !segment.asns.is_empty() {
            last = Some(segment);
        }
    }
    Ok(last)
}

#[inline]
fn origin_of(tail: Option<Segment<'_>>) -> Option<Asn> {
    let tail = tail?;
    if tail.kind == AS_SET && tail.count() > 1 {
        None
    } else {
        tail.iter().next_back()
    }
}

//! Prefixes as they stand in UPDATE messages (RFC 4271 §4.3, RFC 7911 §3).

use std::net::{Ipv4Addr, Ipv6Addr};

use netfault_model::{Family, Nlri, Prefix};

use super::Malformed;

/// One field of prefixes, all of one family.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'a> {
    bytes: &'a [u8],
    family: Family,
    add_path: bool,
}

impl<'a> Field<'a> {
    /// Some archives hold ADD-PATH sessions under record types that do not say so (RFC 8050 came late).
    /// A field that begins with a zero octet is then a path identifier or a default route; it is read
    /// with path identifiers only if it cannot be read without them, and can with them.
    pub(super) fn new(bytes: &'a [u8], family: Family, add_path: bool) -> Self {
        let plain = Field {
            bytes,
            family,
            add_path,
        };
        if add_path || bytes.first() != Some(&0) || bytes.len() < 5 || plain.is_whole() {
            return plain;
        }
        let guess = Field {
            add_path: true,
            ..plain
        };
        if guess.is_whole() { guess } else { plain }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn is_whole(mut self) -> bool {
        while !self.bytes.is_empty() {
            if self.next().is_none() {
                return false;
            }
        }
        true
    }

    /// The next prefix; `None` where the field ends or cannot be read on. Host bits are cleared.
    #[inline(always)] // the hot loop of every archive
    fn next(&mut self) -> Option<Nlri> {
        let mut rest = self.bytes;
        let path_id = if self.add_path {
            u32::from_be_bytes(*super::take::<4>(&mut rest)?)
        } else {
            0
        };
        let (&bits, after) = rest.split_first()?;
        let octets = usize::from(bits).div_ceil(8);
        let prefix = match self.family {
            Family::V4 => {
                let addr = match after.first_chunk::<4>() {
                    // One load instead of a copy of variable length; the surplus is cleared as host bits.
                    Some(quad) => u32::from_be_bytes(*quad),
                    None => u32::from_be_bytes(padded(after.get(..octets)?)?),
                };
                Prefix::v4(Ipv4Addr::from_bits(addr), bits)?
            }
            Family::V6 => {
                let addr = u128::from_be_bytes(padded(after.get(..octets)?)?);
                Prefix::v6(Ipv6Addr::from_bits(addr), bits)?
            }
        };
        self.bytes = after.get(octets..)?;
        Some(Nlri { prefix, path_id })
    }
}

/// `bytes` followed by zeros; `None` if there are more than `N`.
#[inline]
fn padded<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    let mut all = [0; N];
    all.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(all)
}

/// The announced or the withdrawn prefixes of one UPDATE: those of the message itself, then those of its
/// multiprotocol attribute. Ends after the first error; what came before it is good.
#[derive(Clone, Debug)]
pub struct Nlris<'a> {
    fields: [Option<Field<'a>>; 2],
    error: Malformed,
}

impl<'a> Nlris<'a> {
    /// `error` says what it means if a prefix cannot be read.
    pub(super) fn new(first: Field<'a>, second: Option<Field<'a>>, error: Malformed) -> Self {
        Nlris {
            fields: [Some(first), second],
            error,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.fields.iter().flatten().all(Field::is_empty)
    }

    /// Calls `each` with every prefix. Twice as fast as `next`, as the state of the walk stays in registers.
    ///
    /// # Errors
    /// What the iterator would end with; `each` has been called for what came before.
    #[inline]
    pub fn each(self, mut each: impl FnMut(Nlri)) -> Result<(), Malformed> {
        for mut field in self.fields.into_iter().flatten() {
            while !field.bytes.is_empty() {
                each(field.next().ok_or(self.error)?);
            }
        }
        Ok(())
    }
}

impl Iterator for Nlris<'_> {
    type Item = Result<Nlri, Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let field = self.fields[0].as_mut()?;
            if field.bytes.is_empty() {
                self.fields = [self.fields[1].take(), None];
                continue;
            }
            let nlri = field.next();
            if nlri.is_none() {
                self.fields = [None, None];
            }
            return Some(nlri.ok_or(self.error));
        }
    }
}

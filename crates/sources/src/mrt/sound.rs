//! What tells a record from bytes that only look like one.

use super::bgp4mp::{self, Envelope};
use super::frame::{self, Record};
use super::rib::{self, V2};

/// A record that decodes whole: what a boundary found after damage must show.
pub fn is_sound(record: &Record<'_>) -> bool {
    match record.header.kind {
        frame::TYPE_TABLE_DUMP => rib::v1_entries(record.header.subtype, record.body, |_| ()).is_ok(),
        frame::TYPE_TABLE_DUMP_V2 => match V2::of(record.header.subtype) {
            Some(V2::Unicast { family, add_path }) => !matches!(
                rib::v2_entries(record.body, family, add_path, &[], |_| ()),
                Err((rib::BadRib::Short | rib::BadRib::Prefix, _))
            ),
            other => other.is_some(),
        },
        _ => match bgp4mp::envelope(record) {
            Ok(Envelope::Update { encoding, body, .. }) => bgp4mp::is_sound_update(body, encoding),
            Ok(Envelope::Bad { .. } | Envelope::Cut { .. }) | Err(_) => false,
            Ok(_) => true,
        },
    }
}

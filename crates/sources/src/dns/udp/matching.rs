//! Is this datagram the answer to that question? Pure; the entry of a fuzz target.

use hickory_proto::rr::Name;

use crate::dns::wire::{self, Answer, HEADER_LEN, Known, Query0x20};

/// What a message is to a question.
#[derive(Clone, Debug)]
pub enum Match {
    /// Its answer: id, name in its letter case, type and class are those that were sent.
    Exact(Answer),
    /// Right in all but the letter case of the name.
    CaseDiffers(Answer),
    /// Something else, or broken.
    No { rcode: Option<u16> },
}

/// Compares id and question with what was sent, and decodes what passes. Where it came from is the caller's business.
pub fn match_answer(query: &Query0x20, bytes: &[u8]) -> Match {
    let mut answer = Answer::default();
    match match_into(&mut answer, query, None, bytes) {
        Matched::Exact => Match::Exact(answer),
        Matched::CaseDiffers => Match::CaseDiffers(answer),
        Matched::No { rcode } => Match::No { rcode },
    }
}

/// [`Match`], with the answer apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Matched {
    Exact,
    CaseDiffers,
    No { rcode: Option<u16> },
}

/// The same, into an answer that is used again and again. `asked`: the name of the query, if the answer is only to be judged.
pub(super) fn match_into(
    answer: &mut Answer,
    query: &Query0x20,
    asked: Option<&Name>,
    bytes: &[u8],
) -> Matched {
    if wire::id_of(bytes) != Some(query.id) {
        return Matched::No { rcode: None };
    }
    let rcode = Some(u16::from(bytes[3] & 0x0f));
    let is_response = bytes[2] & 0xf8 == 0x80;
    let repeated = question(query, bytes);
    if !is_response || repeated == Repeated::Other {
        return Matched::No { rcode };
    }
    let known = match repeated {
        Repeated::Absent => Known::default(),
        _ => Known {
            question: Some(query.question().len()),
            name: asked,
        },
    };
    if let Err(bad) = wire::decode_into(answer, bytes, known) {
        return Matched::No { rcode: bad.rcode };
    }
    match repeated {
        // An error may come without the question: a server that could not read it cannot repeat it.
        Repeated::Absent if !wire::stands_without_question(answer) => Matched::No {
            rcode: Some(answer.rcode),
        },
        Repeated::CaseDiffers => Matched::CaseDiffers,
        _ => Matched::Exact,
    }
}

/// What a datagram whose id is no question's has to do with a question to its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stray {
    /// No response at all.
    Garbage,
    /// A response that repeats this question, under another id.
    SameQuestion,
    Other,
}

pub(super) fn stray(query: &Query0x20, bytes: &[u8]) -> Stray {
    if bytes.len() < HEADER_LEN || bytes[2] & 0x80 == 0 {
        return Stray::Garbage;
    }
    match question(query, bytes) {
        Repeated::Exactly | Repeated::CaseDiffers => Stray::SameQuestion,
        Repeated::Absent | Repeated::Other => Stray::Other,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeated {
    Exactly,
    CaseDiffers,
    Absent,
    Other,
}

/// The question is the first thing after the header, so there is nothing that its name could be compressed against.
fn question(query: &Query0x20, bytes: &[u8]) -> Repeated {
    let ours = query.question();
    match (bytes.get(4..6), bytes.get(HEADER_LEN..HEADER_LEN + ours.len())) {
        (Some([0, 0]), _) => Repeated::Absent,
        (Some([0, 1]), Some(theirs)) if theirs == ours => Repeated::Exactly,
        (Some([0, 1]), Some(theirs)) if same_but_case(ours, theirs) => Repeated::CaseDiffers,
        _ => Repeated::Other,
    }
}

/// Lengths of labels are below 64 and so no letters; type and class are compared as they are.
fn same_but_case(ours: &[u8], theirs: &[u8]) -> bool {
    match (ours.split_last_chunk::<4>(), theirs.split_last_chunk::<4>()) {
        (Some((name, kind)), Some((their_name, their_kind))) => {
            kind == their_kind && name.eq_ignore_ascii_case(their_name)
        }
        _ => false,
    }
}

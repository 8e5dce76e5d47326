//! What people say about incidents.

use netfault_model::*;
use netfault_store::query::{AckPoll, Note, NoteKind, add_note, notes};

use crate::store;
use crate::store_common::*;

fn note(at: &str, incident: Id, kind: NoteKind, text: &str) -> Note {
    Note {
        at: time(at),
        incident,
        kind,
        by: "O'Brien\t\"noc\"".into(),
        text: text.into(),
    }
}

#[test]
fn embedded_notes_are_kept_word_for_word_and_acknowledgements_are_heard_once() {
    if !engine_is_here("notes") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let db = Db::start(&dir.path().join("db"));
    let client = db.client();
    let add = |note: &Note| block_on(add_note(&client, note)).unwrap();
    let mut poll = AckPoll::since(Time::MIN.max(time("1970-01-01T00:00:00Z")));
    let mut heard = || block_on(poll.next(&client)).unwrap();
    assert_eq!(heard(), []);

    let nasty = "two lines:\n\t'quoted' \\N \\ \"x\" – {braces} 中";
    let first = note("2021-10-04T16:00:00.000001Z", Id(u64::MAX), NoteKind::Note, nasty);
    let ack = note("2021-10-04T16:01:00Z", Id(u64::MAX), NoteKind::Ack, "");
    let other = note("2021-10-04T16:02:00Z", Id(7), NoteKind::Ack, "on it");
    [&other, &ack, &first].into_iter().for_each(add);
    add(&first);
    let of = |ids: &[Id]| block_on(notes(&client, ids)).unwrap();
    assert_eq!(of(&[Id(u64::MAX)]), [first.clone(), ack.clone()]);
    assert_eq!(of(&[Id(u64::MAX), Id(7)]), [first, ack.clone(), other.clone()]);
    assert_eq!((of(&[]), of(&[Id(8)])), (vec![], vec![]));

    let mut acks = heard();
    acks.sort();
    assert_eq!(acks, [ack, other.clone()]);
    assert_eq!(heard(), [], "each once");
    let later = Note {
        text: "still on it".into(),
        ..other
    };
    add(&later);
    assert_eq!(heard(), [later]);

    store(&db, &dir.path().join("spool"), |writer| {
        writer.incident(&incident(Id(7), 1, IncidentState::Open));
        writer.incident(&incident(Id(8), 1, IncidentState::Open));
    });
    assert_eq!(
        db.ask("SELECT id, acknowledged_at, acknowledged_by, notes FROM incidents_current ORDER BY id"),
        "0000000000000007\t2021-10-04 16:02:00.000000\tO\\'Brien\\t\"noc\"\t0\n\
         0000000000000008\t\\N\t\t0"
    );
}

//! Files that are missing, cut, slow, moved: what becomes of a download.

use super::*;

#[test]
fn a_missing_file_is_a_gap_in_its_place() {
    let server = Server::start();
    let cache = tempfile::tempdir().unwrap();
    // Without a page of files their usual names are tried.
    for file in [0, 600, 900] {
        server.file(&ris_path(file), &gz(&updates(T + file, T + file + 300, 20)));
    }
    let archive = open(&server.url("/"), cache.path(), limits());
    let span = Request {
        seed: false,
        ..request("rrc00", 0, 1200)
    };
    let inputs = play(&archive, &span).unwrap();
    let expected: Vec<i64> = every(20, 0, 300)
        .into_iter()
        .chain(every(20, 600, 1200))
        .collect();
    assert_eq!(times(&inputs), expected);
    let [gap] = gaps(&inputs)[..] else {
        panic!("{:?}", gaps(&inputs))
    };
    assert_eq!(
        (gap.at, gap.from, gap.to),
        (at(300), Some(at(300)), Some(at(600)))
    );
    let named = server.url(&ris_path(300));
    assert!(
        gap.reason.contains(&named) && gap.reason.contains("404"),
        "{}",
        gap.reason
    );
    assert_eq!(
        server.asked(&ris_name(300)),
        1,
        "what is not there is not asked for again"
    );
    assert_eq!(gap.collector, Some(Collector::new("rrc00")));
}

#[test]
fn a_file_that_no_page_lists_is_a_gap_too() {
    let server = Server::start();
    let cache = tempfile::tempdir().unwrap();
    ris(&server, 0, 1800);
    let names: Vec<String> = [0, 300, 900, 1200, 1500].map(ris_name).to_vec();
    server.index(
        "/rrc00/2021.10/",
        &names.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    let archive = open(&server.url("/"), cache.path(), limits());
    let inputs = play(
        &archive,
        &Request {
            seed: false,
            ..request("rrc00", 0, 1800)
        },
    )
    .unwrap();
    let [gap] = gaps(&inputs)[..] else {
        panic!("{:?}", gaps(&inputs))
    };
    assert_eq!((gap.from, gap.to), (Some(at(600)), Some(at(900))));
    assert_eq!(times(&inputs).len(), 5 * 15);
}

#[test]
fn an_interrupted_download_goes_on_where_it_was() {
    let server = Server::start();
    let cache = tempfile::tempdir().unwrap();
    ris(&server, 0, 900);
    let whole = gz(&updates(T + 300, T + 600, 1));
    let cut = Answer::Cut(whole.clone(), whole.len() / 2);
    server.answer(&ris_path(300), [cut, Answer::Body(whole.clone())]);
    let archive = open(&server.url("/"), cache.path(), limits());
    let inputs = play(
        &archive,
        &Request {
            seed: false,
            ..request("rrc00", 0, 900)
        },
    )
    .unwrap();
    assert!(gaps(&inputs).is_empty(), "{:?}", gaps(&inputs));
    assert_eq!(times(&inputs).len(), 15 + 300 + 15);
    assert_eq!(
        server.asked(&format!("{} bytes={}-", ris_name(300), whole.len() / 2)),
        1,
        "{:#?}",
        server.log()
    );
    let kept = std::fs::read(cache.path().join("rrc00/updates").join(ris_name(300))).unwrap();
    assert_eq!(kept, whole);
}

#[test]
fn a_file_that_is_always_cut_is_a_gap_and_not_kept() {
    let server = Server::start();
    let cache = tempfile::tempdir().unwrap();
    ris(&server, 0, 900);
    let whole = gz(&updates(T + 300, T + 600, 1));
    server.answer(&ris_path(300), [Answer::Cut(whole.clone(), 100)]);
    let archive = open(&server.url("/"), cache.path(), limits());
    let inputs = play(
        &archive,
        &Request {
            seed: false,
            ..request("rrc00", 0, 900)
        },
    )
    .unwrap();
    let [gap] = gaps(&inputs)[..] else {
        panic!("{:?}", gaps(&inputs))
    };
    assert!(
        gap.reason
            .contains(&format!("ended after 100 of {} bytes", whole.len())),
        "{}",
        gap.reason
    );
    assert_eq!(server.asked(&ris_name(300)), 3);
    let files = files_below(cache.path());
    assert_eq!(
        files,
        [ris_name(0), ris_name(600)].map(|name| format!("rrc00/updates/{name}"))
    );
}

#[test]
fn a_server_that_stalls_or_drips_is_given_up() {
    let server = Server::start();
    let cache = tempfile::tempdir().unwrap();
    ris(&server, 0, 900);
    let whole = gz(&updates(T, T + 300, 1));
    server.answer(&ris_path(0), [Answer::Stall(whole.clone(), 100)]);
    server.answer(&ris_path(300), [Answer::Drip]);
    let impatient = Limits {
        read: Duration::from_millis(300),
        overall: Duration::from_millis(2500),
        tries: 2,
        connect: Duration::from_secs(10),
        ..limits()
    };
    let archive = open(&server.url("/"), cache.path(), impatient);
    let inputs = play(
        &archive,
        &Request {
            seed: false,
            ..request("rrc00", 0, 900)
        },
    )
    .unwrap();
    let reasons: Vec<&str> = gaps(&inputs).iter().map(|gap| gap.reason.as_ref()).collect();
    assert!(
        matches!(reasons[..], [stall, drip] if stall.contains("sent nothing for 300ms") && drip.contains("not here after 2.5s")),
        "{reasons:?}"
    );
    assert_eq!((server.asked(&ris_name(0)), server.asked(&ris_name(300))), (2, 1));
    assert_eq!(times(&inputs), every(20, 600, 900));
}

#[test]
fn what_has_moved_is_followed_to_another_host() {
    let (server, other) = (Server::start(), Server::start());
    let cache = tempfile::tempdir().unwrap();
    ris(&server, 0, 1500);
    for (file, status) in [(0, 301), (300, 302), (600, 307), (900, 308)] {
        let there = format!("/elsewhere/{file}");
        other.file(&there, &gz(&updates(T + file, T + file + 300, 20)));
        server.answer(&ris_path(file), [Answer::Moved(status, other.url(&there))]);
    }
    server.answer(&ris_path(1200), [Answer::Moved(301, ris_path(1200))]);
    let archive = open(&server.url("/"), cache.path(), limits());
    let inputs = play(
        &archive,
        &Request {
            seed: false,
            ..request("rrc00", 0, 1500)
        },
    )
    .unwrap();
    assert_eq!(times(&inputs), every(20, 0, 1200));
    let [gap] = gaps(&inputs)[..] else {
        panic!("{:?}", gaps(&inputs))
    };
    assert!(gap.reason.contains("moved more than 5 times"), "{}", gap.reason);
    assert_eq!(files_below(cache.path()).len(), 4);

    server.answer(
        &ris_path(1200),
        [Answer::Moved(301, "file:///etc/passwd".to_owned())],
    );
    let inputs = play(
        &archive,
        &Request {
            seed: false,
            ..request("rrc00", 1200, 1500)
        },
    )
    .unwrap();
    assert!(
        gaps(&inputs)[0]
            .reason
            .contains("moved to what is no http or https URL")
    );
}

#[test]
fn a_server_error_is_tried_again() {
    let server = Server::start();
    let cache = tempfile::tempdir().unwrap();
    ris(&server, 0, 600);
    let whole = gz(&updates(T, T + 300, 20));
    server.answer(
        &ris_path(0),
        [Answer::Status(503), Answer::Status(429), Answer::Body(whole)],
    );
    let archive = open(&server.url("/"), cache.path(), limits());
    let inputs = play(
        &archive,
        &Request {
            seed: false,
            ..request("rrc00", 0, 600)
        },
    )
    .unwrap();
    assert!(gaps(&inputs).is_empty());
}

#[test]
fn an_older_dump_is_taken_when_the_newest_cannot_be_had() {
    let server = Server::start();
    let cache = tempfile::tempdir().unwrap();
    ris(&server, -7 * 3600, 600);
    let names: Vec<String> = every(300, -7 * 3600, 600).into_iter().map(ris_name).collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.extend([
        "bview.20211004.0800.gz",
        "bview.20211004.1200.gz",
        "bview.20211004.1600.gz",
    ]);
    server.index("/rrc00/2021.10/", &names);
    server.answer("/rrc00/2021.10/bview.20211004.1200.gz", [Answer::Status(500)]);
    let archive = open(&server.url("/"), cache.path(), limits());
    let plan = runtime()
        .block_on(archive.plan(&request("rrc00", 0, 600)))
        .unwrap();
    let seeds: Vec<_> = plan.seeds().map(|(_, dumped)| dumped).collect();
    assert_eq!(seeds, [Some(at(-7 * 3600))]);
    assert_eq!(
        server.asked("bview.20211004.1600"),
        0,
        "it is after the beginning"
    );
}

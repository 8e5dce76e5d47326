//! Alerts about names: their servers begin to refuse, and stop to answer.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use netfault_model::Time;
use netfault_sources::ris_live::system_clock;
use serde_json::{Value, json};

use crate::feed::{self, Feed};
use crate::receiver::{Fate, Receiver, Taken};
use crate::service::{Service, figures, millis, pause, wait_for};

const NAMES: u8 = 40;
const INTERVAL: Duration = Duration::from_secs(2);

/// What the servers do.
const ANSWER: u8 = 0;
const REFUSE: u8 = 1;
const SILENT: u8 = 2;

/// The only server of one name.
struct Server {
    addr: SocketAddr,
    refused: Arc<Mutex<Vec<Time>>>,
}

impl Server {
    fn start(n: u8, mood: Arc<AtomicU8>) -> Server {
        let socket = UdpSocket::bind((Ipv4Addr::new(127, 88, 0, n), 0)).expect("a port");
        let addr = socket.local_addr().expect("an address");
        let refused = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&refused);
        std::thread::spawn(move || {
            let mut buffer = [0; 1500];
            while let Ok((len, client)) = socket.recv_from(&mut buffer) {
                let mood = mood.load(Relaxed);
                if mood == SILENT {
                    continue;
                }
                if mood == REFUSE {
                    kept.lock().expect("the lock").push(system_clock()());
                }
                let _ = socket.send_to(&answer(&buffer[..len], mood == REFUSE), client);
            }
        });
        Server { addr, refused }
    }
}

/// A is 192.0.2.1; there is nothing else (RFC 1035 §4.1).
fn answer(query: &[u8], refuses: bool) -> Vec<u8> {
    let name = 12 + query[12..].iter().position(|byte| *byte == 0).expect("a name") + 1;
    let mut message = query[..name + 4].to_vec();
    message[10..12].fill(0);
    message[2] = 0x84; // an answer, with authority
    message[3] = if refuses { 5 } else { 0 };
    if query[name..name + 2] == [0, 1] && !refuses {
        message[7] = 1;
        message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
    }
    message
}

pub fn alone(program: &Path) -> Value {
    measure(program, "{enabled: false}", 0)
}

pub fn beside_a_feed(program: &Path) -> Value {
    let feed = Feed::start();
    let source = format!("{{url: '{}', everything: true}}", feed.url);
    std::thread::spawn(move || {
        let prefix = "10.0.0.0/24".parse().expect("a prefix");
        loop {
            feed.send((1..=12).map(|peer| feed::announce(peer, &[60_000], &[prefix])));
            pause(Duration::from_millis(20));
        }
    });
    measure(program, &source, NAMES + 1)
}

/// `first`: where the addresses of the servers begin.
fn measure(program: &Path, feed: &str, first: u8) -> Value {
    let (mood, always) = (Arc::new(AtomicU8::new(ANSWER)), Arc::new(AtomicU8::new(ANSWER)));
    let servers: Vec<Server> = (1..=NAMES)
        .map(|n| Server::start(first + n, mood.clone()))
        .collect();
    // The silence of the others is believed because this one answers.
    let witness = Server::start(first + NAMES + 1, always);
    let receiver = Receiver::start(|_| Fate::Answered);
    let name = |n: usize| format!("n{n}.example.net");
    let mut names = vec![format!(
        "{{name: witness.example.org, authorities: ['{}'], private_ok: true}}",
        witness.addr
    )];
    let of = |(n, server): (usize, &Server)| {
        format!(
            "{{name: {}, authorities: ['{}'], private_ok: true}}",
            name(n),
            server.addr
        )
    };
    names.extend(servers.iter().enumerate().map(of));
    let config = format!(
        "watch: {{names: [{}]}}\nsources: {{ris_live: {feed}}}\n\
         dns: {{interval: {}s, authority_timeout: 500ms, controls: {{enabled: false}}, detect: {{ok_hold_s: 2}}}}\n\
         alerts: {{receivers: [{{name: hook, webhook: {{url: '{}'}}}}]}}\n",
        names.join(", "),
        INTERVAL.as_secs(),
        receiver.url
    );
    let folder = tempfile::tempdir().expect("a folder");
    let _service = Service::start(program, folder.path(), &config);
    pause(INTERVAL * 4); // every name is well by then
    let mut all = json!({});
    for (word, what) in [("refused", REFUSE), ("silent", SILENT)] {
        let before = receiver.len();
        mood.store(what, Relaxed);
        let new = |state: &str| -> Vec<Taken> {
            let mut taken = receiver.book().taken.split_off(before);
            taken.retain(|it| it.about == "target" && it.state == state);
            taken
        };
        wait_for(word, || new("open").len() >= usize::from(NAMES));
        mood.store(ANSWER, Relaxed);
        wait_for("all names to be well", || {
            new("resolved").len() >= usize::from(NAMES)
        });
        let latency = |(n, server): (usize, &Server)| {
            let name = format!("\"{}\"", name(n));
            let opened = new("open");
            let alert = opened
                .iter()
                .find(|it| it.subject.contains(&name))
                .expect("one alert each");
            let refused = server.refused.lock().expect("the lock");
            let decided = refused
                .iter()
                .rfind(|at| **at <= alert.decided_at && what == REFUSE);
            millis(*decided.unwrap_or(&alert.decided_at), alert.at)
        };
        all[word] = figures(servers.iter().enumerate().map(latency).collect());
    }
    all
}

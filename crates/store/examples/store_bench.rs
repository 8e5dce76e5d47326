//! How fast updates go from memory into ClickHouse, and what they weigh there.
//!
//!     cargo run --release -p netfault-store --example store_bench -- DIR_OF_BZ2_FILES [--twice]
//!
//! Reads MRT files with bgpkit-parser (not timed), starts the embedded engine (`db_serve`, which must be
//! built beside this), pushes every update through the writer and waits until ClickHouse has them.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bgpkit_parser::models::{BgpElem, ElemType};
use netfault_model::{Announcement, Arrival, Asn, Collector, Nlri, Peer, Prefix, Time, Update};
use netfault_store::{Client, StoreTarget, Table, Writer, WriterConfig, migrate};

type Anyhow<T> = Result<T, Box<dyn Error>>;

fn main() -> Anyhow<()> {
    let mut args = std::env::args().skip(1);
    let dir = args.next().ok_or("give a folder of bz2 files")?;
    let rounds = if args.next().as_deref() == Some("--twice") {
        2
    } else {
        1
    };
    let updates = read_folder(Path::new(&dir))?;
    let rows: usize = updates.iter().map(|update| update.nlri.len()).sum();
    println!("{} messages, {rows} rows", updates.len());

    let home = std::env::temp_dir().join(format!("netfault-bench-{}", std::process::id()));
    let runtime = tokio::runtime::Runtime::new()?;
    let done = runtime.block_on(bench(&home, &updates, rows, rounds));
    std::fs::remove_dir_all(&home)?;
    done
}

async fn bench(home: &Path, updates: &[Update], rows: usize, rounds: usize) -> Anyhow<()> {
    let (mut db, target) = start_db(&home.join("db"))?;
    let client = Client::connect_server(&target).await?;
    migrate::apply(&client).await?;
    for _ in 0..rounds {
        push(home, &target, updates, rows).await?;
        weigh(&client, "as inserted").await?;
    }
    let merged = Instant::now();
    run(&client, "OPTIMIZE TABLE bgp_updates FINAL").await?;
    println!("OPTIMIZE FINAL: {:.1} s", merged.elapsed().as_secs_f64());
    weigh(&client, "merged").await?;
    print!("{}", run(&client, "SELECT column, round(sum(column_data_compressed_bytes) / any(total.rows), 3) AS bytes FROM system.parts_columns, (SELECT sum(rows) AS rows FROM system.parts WHERE table = 'bgp_updates' AND active) AS total WHERE table = 'bgp_updates' AND active GROUP BY column ORDER BY bytes DESC").await?);
    drop(db.stdin.take());
    db.wait()?;
    Ok(())
}

/// The engine as a process; it ends when its stdin does.
fn start_db(dir: &Path) -> Anyhow<(Child, StoreTarget)> {
    let mut child = Command::new(std::env::current_exe()?.with_file_name("db_serve"))
        .args(["--stop-with-stdin", "--dir"])
        .arg(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().ok_or("no stdout")?).read_line(&mut line)?;
    let ready: serde_json::Value = serde_json::from_str(&line)?;
    let text = |key: &str| ready[key].as_str().unwrap_or_default().to_owned();
    let database = "netfault".to_owned();
    Ok((
        child,
        StoreTarget {
            url: text("url"),
            user: text("user"),
            password: text("password"),
            database,
        },
    ))
}

async fn push(home: &Path, target: &StoreTarget, updates: &[Update], rows: usize) -> Anyhow<()> {
    let writer = Writer::open(WriterConfig::archive(home.join("spool"), target.clone()))?;
    let (began, cpu) = (Instant::now(), cpu_seconds()?);
    for update in updates {
        writer.update(update);
    }
    let pushed = began.elapsed();
    let report = tokio::task::spawn_blocking(move || writer.finish(Duration::from_secs(600))).await??;
    let wall = began.elapsed();
    assert!(report.drained, "{report:?}");
    println!(
        "pushed in {:.2} s, in ClickHouse after {:.2} s: {:.2} M rows/s, {} rows sent, {:.2} s CPU of this process",
        pushed.as_secs_f64(),
        wall.as_secs_f64(),
        rows as f64 / wall.as_secs_f64() / 1e6,
        report.stats.of(Table::BgpUpdates).sent,
        cpu_seconds()? - cpu,
    );
    Ok(())
}

/// User and system time of this process so far (proc(5), in ticks of 10 ms).
fn cpu_seconds() -> Anyhow<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    Ok(ticks / 100.0)
}

async fn weigh(client: &Client, when: &str) -> Anyhow<()> {
    let sql = "SELECT sum(rows), sum(bytes_on_disk), round(sum(bytes_on_disk) / sum(rows), 2), count() \
               FROM system.parts WHERE table = 'bgp_updates' AND active";
    print!(
        "{when}: rows, bytes, bytes a row, parts: {}",
        run(client, sql).await?
    );
    Ok(())
}

async fn run(client: &Client, sql: &str) -> Anyhow<String> {
    let mut answer = client.sql(sql, "TabSeparated")?;
    let mut text = String::new();
    while let Some(piece) = answer.next().await? {
        text.push_str(&String::from_utf8_lossy(&piece));
    }
    Ok(text)
}

fn read_folder(dir: &Path) -> Anyhow<Vec<Update>> {
    let mut paths: Vec<_> = std::fs::read_dir(dir)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "bz2"));
    paths.sort();
    let collector = Collector::new("route-views2");
    let mut updates = Vec::new();
    for path in paths {
        let file = std::fs::File::open(&path)?;
        let reader = BufReader::new(bzip2::read::MultiBzDecoder::new(BufReader::new(file)));
        let mut message: Vec<BgpElem> = Vec::new();
        for elem in bgpkit_parser::BgpkitParser::from_reader(reader) {
            if message.first().is_some_and(|first| !same_message(first, &elem))
                || message.iter().any(|other| other.prefix == elem.prefix)
            {
                updates.extend(convert(collector, &message));
                message.clear();
            }
            message.push(elem);
        }
        updates.extend(convert(collector, &message));
    }
    Ok(updates)
}

/// Elements have lost which message they were in; this is near enough for a measurement.
fn same_message(a: &BgpElem, b: &BgpElem) -> bool {
    a.timestamp == b.timestamp
        && a.peer_ip == b.peer_ip
        && a.elem_type == b.elem_type
        && a.as_path == b.as_path
}

fn convert(collector: Collector, elems: &[BgpElem]) -> Option<Update> {
    let first = elems.first()?;
    let announced = first.elem_type == ElemType::ANNOUNCE;
    let nlri: Vec<Nlri> = elems
        .iter()
        .map(|elem| Nlri {
            prefix: Prefix::from(elem.prefix.prefix),
            path_id: elem.prefix.path_id.unwrap_or(0),
        })
        .collect();
    let path = first
        .as_path
        .as_ref()
        .map(|path| path.to_string())
        .unwrap_or_default();
    let path: Box<[Asn]> = path
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|asn| asn.parse().ok().map(Asn))
        .collect();
    Some(Update {
        at: Time::from_micros((first.timestamp * 1e6) as i64),
        peer: Peer {
            collector,
            addr: first.peer_ip,
            asn: Asn(first.peer_asn.to_u32()),
        },
        arrival: Arrival::InTime,
        announced_from: if announced { 0 } else { nlri.len() as u32 },
        nlri: nlri.into(),
        announcement: announced.then(|| Announcement {
            origin: path.last().copied(),
            path,
        }),
    })
}

//! Measures decoding, as ratios in one run:
//!
//!     cargo run --release -p netfault-sources --example decode_bench [FOLDER]
//!
//! FOLDER holds MRT update files (default: the route-views2 day under ../shared/data). They are
//! decompressed once into one file of about 200 MB in the temporary folder, plain and gz, and then
//!
//! * elements per second of our walker against bgpkit-parser's element iterator, over memory;
//! * the gz: inflating alone, inflating and walking, the whole stream to inputs;
//! * the folder itself: `bzip2 -dc` on file after file against the whole stream to inputs.

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Instant;

use bgpkit_parser::BgpkitParser;
use netfault_model::{Asn, Input, Prefix};
use netfault_sources::bgp::Update;
use netfault_sources::mrt::bgp4mp::{Envelope, FarEnd, envelope};
use netfault_sources::mrt::frame::{Frame, frame};
use netfault_sources::mrt::inflate::{Inflater, PIECE};
use netfault_sources::mrt::{Options, Progress, Stream, discover};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/route-views2-20080224");
    let folder = std::env::args().nth(1).map_or(default, PathBuf::from);
    if !folder.is_dir() {
        println!("SKIPPED: {} is absent: decode_bench", folder.display());
        return Ok(());
    }
    let folder = folder.to_string_lossy().into_owned();
    let (plain, packed) = prepare(&folder)?;
    walkers(&plain)?;
    gz(&packed)?;
    archive(&folder)
}

/// The files of the folder as one, plain and gz.
fn prepare(folder: &str) -> Result<(PathBuf, PathBuf)> {
    let place = std::env::temp_dir().join("netfault-decode-bench");
    let (plain, packed) = (place.join("updates.mrt"), place.join("updates.mrt.gz"));
    if packed.exists() {
        return Ok((plain, packed));
    }
    fs::create_dir_all(&place)?;
    let mut out = BufWriter::new(File::create(&plain)?);
    for file in discover(&[folder.to_owned()])? {
        let mut inflater = Inflater::open(&file.path, &Progress::default())?;
        let mut piece = Vec::new();
        loop {
            inflater.fill(&mut piece)?;
            out.write_all(&piece)?;
            if piece.len() < PIECE {
                break;
            }
        }
    }
    out.flush()?;
    let ok = Command::new("gzip").arg("-kf").arg(&plain).status()?.success();
    if ok {
        Ok((plain, packed))
    } else {
        Err("gzip failed".into())
    }
}

/// Prefix, peer and origin of every element; the sums keep the compiler honest, and are compared.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Sums {
    elements: u64,
    withdrawn: u64,
    lengths: u64,
    origins: u64,
}

impl Sums {
    fn add(&mut self, prefix_len: u8, origin: Option<u32>) {
        self.elements += 1;
        self.lengths += u64::from(prefix_len);
        self.origins += u64::from(origin.unwrap_or(0));
    }
}

/// Calls `each` with every element; returns how many bytes were whole records.
fn walk(data: &[u8], mut each: impl FnMut(FarEnd, Prefix, bool, Option<Asn>)) -> usize {
    let mut at = 0;
    while let Frame::Record(record) = frame(&data[at..]) {
        at += record.size;
        let Ok(Envelope::Update { from, encoding, body }) = envelope(&record) else {
            continue;
        };
        let Ok(update) = Update::parse(body, encoding) else {
            continue;
        };
        // A fault in a field ends the field; nothing of it is left out in these files.
        let _ = update
            .withdrawn()
            .each(|nlri| each(from, nlri.prefix, false, None));
        let origin = update.path().and_then(|path| path.origin().ok()).flatten();
        let _ = update
            .announced()
            .each(|nlri| each(from, nlri.prefix, true, origin));
    }
    at
}

fn walkers(plain: &Path) -> Result<()> {
    let data = fs::read(plain)?;
    let mut ours = Sums::default();
    let lean = best_of(5, || {
        ours = Sums::default();
        walk(&data, |_, prefix, announced, origin| {
            ours.add(prefix.len(), origin.map(|asn| asn.0));
            ours.withdrawn += u64::from(!announced);
        });
    });
    let mut theirs = Sums::default();
    let bgpkit = best_of(2, || {
        theirs = Sums::default();
        let file = BufReader::with_capacity(1 << 20, data.as_slice());
        for element in BgpkitParser::from_reader(file) {
            let origin = match element.origin_asns.as_deref() {
                Some([one]) => Some(one.to_u32()),
                _ => None,
            };
            theirs.add(element.prefix.prefix.prefix_len(), origin);
            theirs.withdrawn += u64::from(!element.is_announcement());
        }
    });
    let rate = |seconds: f64| ours.elements as f64 / seconds / 1e6;
    println!(
        "{:.0} MB of updates, {:.2} M elements",
        data.len() as f64 / 1e6,
        ours.elements as f64 / 1e6
    );
    println!(
        "lean walker            {lean:7.3} s {:7.1} M elements/s",
        rate(lean)
    );
    println!(
        "bgpkit elements        {bgpkit:7.3} s {:7.1} M elements/s",
        rate(bgpkit)
    );
    println!("lean / bgpkit          {:7.1} ×   (must: ≥ 10)", bgpkit / lean);
    println!("ours   {ours:?}");
    println!("bgpkit {theirs:?}  (takes multicast routes for unicast ones)");
    Ok(())
}

fn gz(packed: &Path) -> Result<()> {
    let inflate = best_of(3, || {
        drop(inflate_all(packed, |_| ()));
    });
    let walked = best_of(3, || {
        let (to_walker, pieces) = mpsc::sync_channel::<Vec<u8>>(4);
        let (to_inflater, spare) = mpsc::sync_channel::<Vec<u8>>(8);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let mut carry = Vec::new();
                let mut sums = Sums::default();
                for piece in pieces {
                    carry.extend_from_slice(&piece);
                    let used = walk(&carry, |_, prefix, _, origin| {
                        sums.add(prefix.len(), origin.map(|asn| asn.0))
                    });
                    carry.drain(..used);
                    let _ = to_inflater.try_send(piece);
                }
                std::hint::black_box(sums);
            });
            let result = inflate_all(packed, |piece| {
                let full = std::mem::replace(piece, spare.try_recv().unwrap_or_default());
                let _ = to_walker.send(full);
            });
            drop(to_walker);
            drop(result);
        });
    });
    let streamed = stream(&packed.to_string_lossy())?;
    println!("gz: inflate alone      {inflate:7.3} s");
    println!(
        "gz: inflate + walk     {walked:7.3} s  {:5.2} × inflate",
        walked / inflate
    );
    println!(
        "gz: stream of inputs   {:7.3} s  {:5.2} × inflate",
        streamed.0,
        streamed.0 / inflate
    );
    Ok(())
}

fn inflate_all(path: &Path, mut each: impl FnMut(&mut Vec<u8>)) -> std::io::Result<()> {
    let mut inflater = Inflater::open(path, &Progress::default())?;
    let mut piece = Vec::new();
    loop {
        inflater.fill(&mut piece)?;
        let ended = piece.len() < PIECE;
        each(&mut piece);
        if ended {
            return Ok(());
        }
    }
}

fn archive(folder: &str) -> Result<()> {
    let files = discover(&[folder.to_owned()])?;
    let started = Instant::now();
    for file in &files {
        let mut child = Command::new("bzip2")
            .arg("-dc")
            .arg(&file.path)
            .stdout(Stdio::piped())
            .spawn()?;
        let mut out = child.stdout.take().ok_or("no output of bzip2")?;
        let mut piece = vec![0; PIECE];
        while out.read(&mut piece)? > 0 {}
        child.wait()?;
    }
    let bzip2 = started.elapsed().as_secs_f64();
    let (seconds, inputs, routes) = stream(folder)?;
    println!("{} bz2 files: bzip2 -dc   {bzip2:7.3} s", files.len());
    println!(
        "bz2: stream of inputs  {seconds:7.3} s  {:5.2} × bzip2 -dc, {inputs} inputs, {routes} routes",
        seconds / bzip2
    );
    println!(
        "size of an input: {} bytes; peak RSS {} MB",
        size_of::<Input>(),
        peak_rss_mb()
    );
    Ok(())
}

fn stream(path: &str) -> Result<(f64, u64, u64)> {
    let started = Instant::now();
    let (mut inputs, mut routes) = (0, 0);
    for batch in Stream::open(discover(&[path.to_owned()])?, Options::default())? {
        inputs += batch.len() as u64;
        for input in &batch {
            if let Input::Update(update) = input {
                routes += update.nlri.len() as u64;
            }
        }
    }
    Ok((started.elapsed().as_secs_f64(), inputs, routes))
}

fn best_of(runs: usize, mut run: impl FnMut()) -> f64 {
    let once = || {
        let started = Instant::now();
        run();
        started.elapsed().as_secs_f64()
    };
    std::iter::repeat_with(once)
        .take(runs)
        .fold(f64::INFINITY, f64::min)
}

fn peak_rss_mb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap_or_default();
    line.split_whitespace()
        .next()
        .and_then(|kb| kb.parse::<u64>().ok())
        .unwrap_or(0)
        / 1024
}

//! Two network namespaces with a cable between them, so that a cut uplink and a firewall are the real ones.
//!
//! ```text
//!  nfw-PID-N-here                          nfw-PID-N-net
//!  netfault (and the resolver beside it)   name servers, resolvers: one address each, on lo
//!  wire 198.19.255.2, fd00:ffff::2  ───────  wire 198.19.255.1, fd00:ffff::1
//! ```
//!
//! Both are gone with this value. What a killed test left is swept away by the next one.

use std::net::{IpAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sched::{CloneFlags, setns};

const PREFIX: &str = "nfw-";
/// Programs that every test here needs: to make namespaces, to drop packets.
const TOOLS: [&str; 2] = ["ip", "nft"];

/// One of the two namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Where netfault asks from.
    Here,
    /// Where everybody else is.
    Net,
}

pub struct Net {
    here: String,
    net: String,
}

/// Runs a program of the system; what it said if it failed.
pub fn run(program: &str, args: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(format!("{program} {}: {}", args.join(" "), said.trim()))
}

#[track_caller]
pub fn must(program: &str, args: &[&str]) -> String {
    run(program, args).unwrap_or_else(|error| panic!("{error}"))
}

/// A program, wherever Debian puts it.
pub fn find(program: &str) -> Option<PathBuf> {
    ["/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/sbin"]
        .iter()
        .map(|dir| Path::new(dir).join(program))
        .find(|path| path.exists())
}

impl Net {
    /// `None`, with one visible line, where there can be no namespaces.
    pub fn new(test: &str, programs: &[&str]) -> Option<Net> {
        if let Some(missing) = TOOLS.iter().chain(programs).find(|name| find(name).is_none()) {
            println!("SKIPPED: {missing} is not installed: {test}");
            return None;
        }
        sweep();
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let own = format!(
            "{PREFIX}{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let net = Net {
            here: format!("{own}-here"),
            net: format!("{own}-net"),
        };
        for side in [Side::Here, Side::Net] {
            if let Err(error) = run("ip", &["netns", "add", net.name(side)]) {
                println!("SKIPPED: no network namespaces here ({error}): {test}");
                return None;
            }
        }
        net.build().unwrap_or_else(|error| panic!("{error}"));
        Some(net)
    }

    fn build(&self) -> Result<(), String> {
        for side in [Side::Here, Side::Net] {
            self.ip(side, "link set lo up")?;
        }
        let cable = [
            "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns",
        ];
        let mut args = vec!["-n", &self.here];
        args.extend(cable);
        args.push(&self.net);
        run("ip", &args)?;
        for (side, end) in [(Side::Net, 1), (Side::Here, 2)] {
            self.ip(side, &format!("addr add 198.19.255.{end}/24 dev wire"))?;
            self.ip(side, &format!("-6 addr add fd00:ffff::{end}/64 dev wire nodad"))?;
            self.ip(side, "link set wire up")?;
        }
        self.route_out()
    }

    fn route_out(&self) -> Result<(), String> {
        self.ip(Side::Here, "route replace default via 198.19.255.1")?;
        self.ip(Side::Here, "-6 route replace default via fd00:ffff::1 dev wire")
    }

    fn ip(&self, side: Side, command: &str) -> Result<(), String> {
        let mut args = vec!["-n", self.name(side)];
        args.extend(command.split_whitespace());
        run("ip", &args).map(drop)
    }

    fn name(&self, side: Side) -> &str {
        match side {
            Side::Here => &self.here,
            Side::Net => &self.net,
        }
    }

    /// Gives everybody out there an address.
    pub fn add_addresses(&self, addrs: impl IntoIterator<Item = IpAddr>) {
        for addr in addrs {
            let (family, length, dad) = match addr {
                IpAddr::V4(_) => ("-4", 32, ""),
                IpAddr::V6(_) => ("-6", 128, "nodad"),
            };
            self.ip(
                Side::Net,
                &format!("{family} addr add {addr}/{length} dev lo {dad}"),
            )
            .unwrap_or_else(|error| panic!("{error}"));
        }
    }

    /// A program that will run in there.
    pub fn command(&self, side: Side, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", self.name(side)]).arg(program);
        command.stdin(Stdio::null());
        command
    }

    /// A socket of there; port 0: any port. It stays there whoever uses it.
    pub fn socket(&self, side: Side, addr: IpAddr, port: u16) -> UdpSocket {
        self.inside(side, move || UdpSocket::bind((addr, port)))
            .expect("a socket")
    }

    /// Nobody has port 53 of this address any more.
    pub fn is_free(&self, side: Side, addr: IpAddr) -> bool {
        self.inside(side, move || {
            UdpSocket::bind((addr, 53)).is_ok() && TcpListener::bind((addr, 53)).is_ok()
        })
    }

    /// Does something there, from a thread of its own.
    fn inside<T: Send + 'static>(&self, side: Side, work: impl FnOnce() -> T + Send + 'static) -> T {
        let path = format!("/run/netns/{}", self.name(side));
        let enter = move || {
            let namespace = std::fs::File::open(path).expect("the namespace");
            setns(namespace, CloneFlags::CLONE_NEWNET).expect("to enter it");
            work()
        };
        std::thread::spawn(enter)
            .join()
            .expect("what was to be done there")
    }

    /// The uplink of the vantage is pulled out, or put in again.
    pub fn uplink(&self, up: bool) {
        let state = if up {
            "link set wire up"
        } else {
            "link set wire down"
        };
        self.ip(Side::Here, state).expect("the cable");
        if up {
            // The kernel forgets IPv6 addresses and routes of an interface that goes down.
            let addr = "-6 addr replace fd00:ffff::2/64 dev wire nodad";
            self.ip(Side::Here, addr).expect("its address");
            self.route_out().expect("its routes");
        }
    }

    /// Adds a rule to the firewall before everybody out there, in nftables' own words.
    pub fn firewall(&self, rule: &str) {
        self.nft(Side::Net, "add table inet world");
        let chain = "add chain inet world rules { type filter hook input priority 0; }";
        self.nft(Side::Net, chain);
        self.nft(Side::Net, &format!("add rule inet world rules {rule}"));
    }

    pub fn firewall_off(&self) {
        self.nft(Side::Net, "delete table inet world");
    }

    fn nft(&self, side: Side, command: &str) -> String {
        must("ip", &["netns", "exec", self.name(side), "nft", command])
    }

    /// Counts packets that leave the vantage for these addresses, by name of the counter.
    pub fn count(&self, name: &str, matching: &str) {
        self.nft(Side::Here, "add table inet counts");
        self.nft(Side::Here, &format!("add counter inet counts {name}"));
        self.nft(
            Side::Here,
            "add chain inet counts out { type filter hook output priority -10; }",
        );
        self.nft(
            Side::Here,
            &format!("add rule inet counts out {matching} counter name {name}"),
        );
    }

    pub fn counted(&self, name: &str) -> u64 {
        let text = self.nft(Side::Here, &format!("list counter inet counts {name}"));
        let mut words = text.split_whitespace().skip_while(|word| *word != "packets");
        let number = words.nth(1).and_then(|word| word.parse().ok());
        number.unwrap_or_else(|| panic!("no counter: {text}"))
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for side in [Side::Here, Side::Net] {
            let _ = run("ip", &["netns", "delete", self.name(side)]);
        }
    }
}

/// Removes the namespaces of tests that are gone, and what still runs in them.
fn sweep() {
    let Ok(list) = run("ip", &["netns", "list"]) else {
        return;
    };
    let names = list.lines().filter_map(|line| line.split_whitespace().next());
    for name in names.filter(|name| name.starts_with(PREFIX)) {
        let owner = name[PREFIX.len()..].split('-').next().unwrap_or_default();
        let running = std::fs::read_link(format!("/proc/{owner}/exe")).unwrap_or_default();
        if running.to_string_lossy().contains("dns_world") {
            continue;
        }
        for pid in run("ip", &["netns", "pids", name])
            .unwrap_or_default()
            .split_whitespace()
        {
            let _ = run("kill", &["-KILL", pid]);
        }
        let _ = run("ip", &["netns", "delete", name]);
    }
}

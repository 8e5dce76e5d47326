//! One server process in one namespace, in a process group of its own: name servers have children that answer for them.

use std::fs::File;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::net::{Net, Side, find};

/// Nothing here takes longer, however slow the machine.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Between two looks: nothing is ever sent on the channel that is waited for.
pub fn pause(time: Duration) {
    let (_held, never) = std::sync::mpsc::channel::<()>();
    let _ = never.recv_timeout(time);
}

/// What is to be started.
pub struct Plan {
    pub name: String,
    pub program: &'static str,
    pub args: &'static [&'static str],
    pub side: Side,
    /// The first one is asked whether it is ready.
    pub addrs: Vec<IpAddr>,
    /// Written to `server.conf`; `{dir}` stands for its folder.
    pub config: String,
}

pub struct Daemon {
    pub plan: Plan,
    child: Option<Child>,
    dir: TempDir,
}

impl Daemon {
    pub fn start(net: &Net, plan: Plan) -> Daemon {
        let mut daemon = Daemon {
            plan,
            child: None,
            dir: tempfile::tempdir().expect("a folder"),
        };
        daemon.start_again(net);
        daemon
    }

    fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    fn write_config(&self) {
        let text = self
            .plan
            .config
            .replace("{dir}", &self.dir.path().display().to_string());
        std::fs::write(self.path("server.conf"), text).expect("its configuration");
    }

    pub fn start_again(&mut self, net: &Net) {
        self.write_config();
        // Children of NSD live a moment longer than it.
        let start = Instant::now();
        while !self
            .plan
            .addrs
            .iter()
            .all(|addr| net.is_free(self.plan.side, *addr))
        {
            assert!(
                start.elapsed() < PATIENCE,
                "{}: its addresses are in use",
                self.plan.name
            );
            pause(Duration::from_millis(10));
        }
        let log = File::create(self.path("stderr")).expect("its log");
        let program = find(self.plan.program).expect("the program, which was looked for before");
        let child = net
            .command(self.plan.side, &program)
            .args(self.plan.args)
            .arg("-c")
            .arg(self.path("server.conf"))
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0)
            .spawn()
            .expect("it starts");
        self.child = Some(child);
    }

    pub fn is_running(&self) -> bool {
        self.child.is_some()
    }

    fn signal(&self, signal: Signal) {
        if let Some(child) = &self.child {
            let _ = killpg(Pid::from_raw(child.id() as i32), signal);
        }
    }

    /// It reads configuration and zones again.
    pub fn reload(&self) {
        if let Some(child) = &self.child {
            // Not the group: children of NSD end with this signal.
            let _ = nix::sys::signal::kill(Pid::from_raw(child.id() as i32), Signal::SIGHUP);
        }
    }

    /// It is there and does nothing: the kernel takes packets, nobody reads them.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// The process ends: its port is closed.
    pub fn stop(&mut self) {
        self.thaw();
        self.signal(Signal::SIGKILL);
        if let Some(mut child) = self.child.take() {
            let _ = child.wait();
        }
    }

    /// Waits until it answers `query` as `wanted` says.
    #[track_caller]
    pub fn until(&mut self, net: &Net, query: &[u8], wanted: impl Fn(&[u8]) -> bool) {
        let addr = SocketAddr::new(self.plan.addrs[0], 53);
        let any: IpAddr = if addr.is_ipv4() {
            [0, 0, 0, 0].into()
        } else {
            [0u16; 8].into()
        };
        let socket = net.socket(self.plan.side, any, 0);
        let start = Instant::now();
        loop {
            if exchange(&socket, addr, query).is_some_and(|answer| wanted(&answer)) {
                return;
            }
            let ended = self
                .child
                .as_mut()
                .and_then(|child| child.try_wait().ok().flatten());
            let log = |file| std::fs::read_to_string(self.path(file)).unwrap_or_default();
            assert!(
                ended.is_none() && start.elapsed() < PATIENCE,
                "{} is not ready: {ended:?}\n{}{}",
                self.plan.name,
                log("stderr"),
                log("log")
            );
            pause(Duration::from_millis(20));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop();
    }
}

/// One datagram and its answer, if it comes soon.
pub fn exchange(socket: &UdpSocket, server: SocketAddr, query: &[u8]) -> Option<Vec<u8>> {
    socket.send_to(query, server).ok()?;
    socket
        .set_read_timeout(Some(Duration::from_millis(300)))
        .expect("a timeout");
    let mut buffer = [0u8; 4096];
    loop {
        match socket.recv_from(&mut buffer) {
            Ok((len, from)) if from.ip() == server.ip() && buffer[..2] == query[..2] => {
                return Some(buffer[..len].to_vec());
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}

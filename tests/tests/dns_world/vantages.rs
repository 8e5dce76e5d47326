//! Two vantages: a collector among the servers, and an agent behind an uplink that can be cut.

#[path = "../../../crates/netfault/tests/common/authority.rs"]
mod authority;

use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, Instant};

use netfault_model::{Arrival, Outcome, Probe};
use tempfile::TempDir;

use crate::daemon::{PATIENCE, pause};
use crate::net::Side;
use crate::program::{netfault, output};
use crate::watching::{Setup, watch_at};
use crate::world::{Fault, Layout, World};

/// The other end of the agent's uplink.
const COLLECTOR: &str = "198.19.255.1";
const PORT: u16 = 8480;
const TOKEN: &str = "0f5d8c1e6b7a49f3a2c4";

/// `netfault agent` where the uplink is; ended with this value.
struct Agent {
    child: Child,
    err: PathBuf,
    dir: TempDir,
}

impl Agent {
    fn start(world: &World, setup: &Setup, dir: TempDir) -> Agent {
        let config = format!(
            "agent: {{name: there, collector: 'https://{COLLECTOR}:{PORT}', token: {TOKEN}, ca: ca.pem}}\ndata_dir: data\n{}",
            setup.asked(world, "there")
        );
        std::fs::write(dir.path().join("agent.yaml"), config).expect("the configuration");
        let (_, stdout) = output(dir.path(), "out");
        let (err, stderr) = output(dir.path(), "err");
        let child = netfault(world)
            .current_dir(dir.path())
            .args(["agent", "-c", "agent.yaml"])
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .expect("the program starts");
        Agent { child, err, dir }
    }

    #[track_caller]
    fn says(&self, words: &str) {
        let start = Instant::now();
        let said = || std::fs::read_to_string(&self.err).unwrap_or_default();
        while !said().contains(words) {
            assert!(start.elapsed() < PATIENCE, "no '{words}': {}", said());
            pause(Duration::from_millis(20));
        }
    }

    /// Batches that the collector has not taken yet.
    fn spooled(&self) -> usize {
        let spool = std::fs::read_dir(self.dir.path().join("data/agent"));
        let batches = spool.into_iter().flatten().flatten();
        batches
            .filter(|entry| entry.path().extension().is_some_and(|it| it == "batch"))
            .count()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// While it is cut off, the agent sees every server fail, and writes that down. When the uplink is back, all of it arrives, and still
/// accuses nobody.
#[test]
fn one_vantage_of_two_that_is_cut_off_is_told_and_no_name_is_accused() {
    let test = "one_vantage_of_two_that_is_cut_off_is_told_and_no_name_is_accused";
    let Some(mut world) = World::new(test, Layout::default()) else {
        return;
    };
    let dir = tempfile::tempdir().expect("a folder");
    authority::authority(dir.path(), COLLECTOR);
    let file = |name: &str| dir.path().join(name).display().to_string();
    let listen = format!(
        "listen: {{address: '{COLLECTOR}:{PORT}', tls: {{cert: '{}', key: '{}'}}}}\nagents: [{{name: there, token: {TOKEN}}}]\n",
        file("cert.pem"),
        file("key.pem")
    );
    let setup = Setup::default();
    let mut collector = watch_at(&world, Side::Net, &setup, &listen);
    let agent = Agent::start(&world, &setup, dir);
    agent.says("connected to https://");
    collector.until_both_are_ok();

    world.break_(Fault::Uplink);
    let said = collector.until_said("vantage_offline", false);
    let summary = said["summary"].as_str().unwrap_or_default();
    assert!(summary.starts_with("Vantage there has not reported"), "{summary}");
    world.mend();
    collector.until_said("vantage_offline", true);
    let start = Instant::now();
    while agent.spooled() > 1 {
        assert!(start.elapsed() < PATIENCE, "{} batches wait", agent.spooled());
        pause(Duration::from_millis(20));
    }
    collector.until_offline_is_over();
    drop(agent);
    let course = collector.stop();
    course.accuses_no_name();
    let failed = |probe: &&Probe| {
        probe.vantage == "there" && matches!(probe.outcome, Outcome::Timeout | Outcome::NetUnreachable)
    };
    let of_the_cut: Vec<&Probe> = course.probes.iter().filter(failed).collect();
    assert!(
        of_the_cut.len() > 20 && of_the_cut.iter().all(|probe| probe.arrival == Arrival::InTime),
        "{of_the_cut:?}"
    );
}

//! The note that a running server leaves in its folder, so that another process of the same user can ask it.
//!
//! The engine lets one process into a folder. While the service runs, `netfault query` or `netfault incidents ack` in
//! another shell has to go through the service's own database process, and needs its address and password for that.
//! The file is readable by its owner only, as the folder's contents are to whoever may read them anyway.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::serve::Bound;

const NAME: &str = "netfault-serving.json";
/// Ours has 150 bytes.
const MAX: u64 = 4096;

/// There for as long as the server takes requests. A process that was killed leaves it behind, and nobody answers there.
pub(super) struct Notice(PathBuf);

impl Notice {
    pub fn leave(dir: &Path, bound: &Bound) -> io::Result<Notice> {
        let path = dir.join(NAME);
        // A name of its own per process: two that start at once must not write into one another.
        let draft = dir.join(format!(".{NAME}.{}", std::process::id()));
        let _left_by_a_killed_one = fs::remove_file(&draft);
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)?;
        file.write_all(&serde_json::to_vec(bound).map_err(io::Error::other)?)?;
        drop(file);
        fs::rename(&draft, &path)?;
        Ok(Notice(path))
    }
}

impl Drop for Notice {
    fn drop(&mut self) {
        let _gone_already = fs::remove_file(&self.0);
    }
}

/// What the server of a folder says of itself, if one is or was there. Whether it still answers is not known.
#[must_use]
pub fn serving(dir: &Path) -> Option<Bound> {
    let path = dir.join(NAME);
    if fs::metadata(&path).ok()?.len() > MAX {
        return None;
    }
    let bound: Bound = serde_json::from_slice(&fs::read(&path).ok()?).ok()?;
    // Nothing but a loopback address is ever served.
    let host = bound.url.strip_prefix("http://")?;
    let addr: std::net::SocketAddr = host.parse().ok()?;
    addr.ip().is_loopback().then_some(bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(url: &str) -> Bound {
        Bound {
            url: url.into(),
            user: "netfault".into(),
            password: "secret".into(),
            version: "26.7".into(),
        }
    }

    #[test]
    fn a_notice_is_there_as_long_as_it_is_held_and_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(serving(dir.path()), None);
        let local = bound("http://127.0.0.1:8123");
        let notice = Notice::leave(dir.path(), &local).unwrap();
        assert_eq!(serving(dir.path()), Some(local));
        let mode = fs::metadata(dir.path().join(NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(notice);
        assert_eq!(serving(dir.path()), None);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_password_is_sent_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        for bad in [
            "http://192.0.2.1:8123",
            "http://example.com:8123",
            "https://127.0.0.1:1",
            "",
        ] {
            let _held = Notice::leave(dir.path(), &bound(bad)).unwrap();
            assert_eq!(serving(dir.path()), None, "{bad}");
        }
        fs::write(dir.path().join(NAME), "{").unwrap();
        assert_eq!(serving(dir.path()), None);
    }
}

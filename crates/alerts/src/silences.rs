//! Silences and maintenance windows: what is not told for a while. What is still open when they end is told then.
//!
//! Silences are kept in one file, which the command line replaces as a whole and the running service reads again when
//! it has changed. So the two need no connection.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use netfault_model::{Id, Time};
use serde::{Deserialize, Serialize};

use crate::matcher::{Matcher, Quantifier};
use crate::notice::{About, Notice};
use crate::windows::Weekly;

/// A silence that somebody made.
#[derive(Clone, Debug, PartialEq)]
pub struct Silence {
    pub id: String,
    pub matcher: Matcher,
    pub from: Time,
    pub until: Time,
    pub comment: String,
    pub by: String,
}

/// A maintenance window of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Maintenance {
    pub name: String,
    pub when: Vec<Weekly>,
    pub matcher: Matcher,
}

/// As a silence stands in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: String,
    #[serde(rename = "match")]
    conditions: Vec<String>,
    from: Time,
    until: Time,
    #[serde(default)]
    comment: String,
    #[serde(default)]
    by: String,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot use the silences in {}: {source}", path.display())]
pub struct SilenceError {
    pub path: PathBuf,
    pub source: io::Error,
}

/// An expired silence is kept so long, so that `list --all` can show it.
const KEPT: Duration = Duration::from_secs(7 * 86_400);
/// Far above what people make.
const MAX: usize = 10_000;
const MAX_FILE: u64 = 16 << 20;

impl Silence {
    /// The id follows from the content and the moment, which makes it unique where people make silences.
    pub fn new(matcher: Matcher, from: Time, until: Time, comment: &str, by: &str) -> Self {
        let id = Id::of(&[
            "silence",
            &matcher.to_string(),
            &from.to_string(),
            &until.to_string(),
            by,
        ]);
        Silence {
            id: id.to_string(),
            matcher,
            from,
            until,
            comment: comment.to_owned(),
            by: by.to_owned(),
        }
    }

    pub fn is_active(&self, now: Time) -> bool {
        self.from <= now && now < self.until
    }
}

/// The file of silences.
#[derive(Clone, Debug)]
pub struct SilenceFile {
    path: PathBuf,
}

impl SilenceFile {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        SilenceFile { path: path.into() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every silence in the file, also expired ones. No file: none.
    pub fn read(&self) -> Result<Vec<Silence>, SilenceError> {
        self.try_read().map_err(|source| self.error(source))
    }

    /// Reads, changes and replaces the file. Two at once follow each other.
    pub fn change<T>(
        &self,
        change: impl FnOnce(&mut Vec<Silence>) -> T,
        now: Time,
    ) -> Result<T, SilenceError> {
        let try_change = || -> io::Result<T> {
            if let Some(folder) = self.path.parent() {
                fs::create_dir_all(folder)?;
            }
            let lock = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(self.path.with_extension("lock"))?;
            lock.lock()?;
            let mut silences = self.try_read()?;
            let result = change(&mut silences);
            let kept = now - KEPT;
            silences.retain(|silence| silence.until > kept);
            self.replace(&silences)?;
            Ok(result)
        };
        try_change().map_err(|source| self.error(source))
    }

    fn error(&self, source: io::Error) -> SilenceError {
        SilenceError {
            path: self.path.clone(),
            source,
        }
    }

    fn try_read(&self) -> io::Result<Vec<Silence>> {
        match fs::metadata(&self.path) {
            Ok(meta) if meta.len() > MAX_FILE => return Err(io::Error::other("the file is too large")),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        }
        let lines: Vec<Line> = serde_json::from_slice(&fs::read(&self.path)?)?;
        lines.into_iter().take(MAX).map(silence).collect()
    }

    fn replace(&self, silences: &[Silence]) -> io::Result<()> {
        let lines: Vec<Line> = silences.iter().map(line).collect();
        let beside = self.path.with_extension("new");
        let mut file = File::create(&beside)?;
        serde_json::to_writer_pretty(&mut file, &lines)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&beside, &self.path)
    }

    /// Changes when the file does.
    fn stamp(&self) -> Option<(SystemTime, u64)> {
        let meta = fs::metadata(&self.path).ok()?;
        Some((meta.modified().ok()?, meta.len()))
    }
}

fn silence(line: Line) -> io::Result<Silence> {
    let matcher = Matcher::parse(line.conditions.iter().map(String::as_str)).map_err(io::Error::other)?;
    Ok(Silence {
        id: line.id,
        matcher,
        from: line.from,
        until: line.until,
        comment: line.comment,
        by: line.by,
    })
}

fn line(silence: &Silence) -> Line {
    Line {
        id: silence.id.clone(),
        conditions: silence.matcher.texts().collect(),
        from: silence.from,
        until: silence.until,
        comment: silence.comment.clone(),
        by: silence.by.clone(),
    }
}

/// What is in force at one moment; shared by all receivers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quiet {
    matchers: Vec<(String, Matcher)>,
}

impl Quiet {
    /// The silence or window that hides `notice`, by name.
    pub fn hides(&self, notice: &Notice) -> Option<&str> {
        let hidden = |(_, matcher): &&(String, Matcher)| {
            // What is about ourselves is silenced only by who says so.
            let is_meant = notice.about == About::Target || matcher.has(crate::matcher::Key::About);
            is_meant && matcher.matches(notice, Quantifier::All)
        };
        self.matchers.iter().find(hidden).map(|(name, _)| name.as_str())
    }
}

/// Follows the file and the clock.
#[derive(Debug)]
pub(crate) struct Watcher {
    file: SilenceFile,
    maintenance: Vec<Maintenance>,
    stamp: Option<(SystemTime, u64)>,
    silences: Vec<Silence>,
}

impl Watcher {
    pub(crate) fn new(file: SilenceFile, maintenance: Vec<Maintenance>) -> Self {
        Watcher {
            file,
            maintenance,
            stamp: None,
            silences: Vec::new(),
        }
    }

    /// What is in force at `now`. A file that cannot be read leaves the silences as they were.
    pub(crate) fn look(&mut self, now: Time) -> Quiet {
        let stamp = self.file.stamp();
        if stamp != self.stamp {
            self.stamp = stamp;
            match self.file.read() {
                Ok(silences) => self.silences = silences,
                Err(error) => tracing::error!(%error, "the silences stay as they were"),
            }
        }
        let silences = self.silences.iter().filter(|silence| silence.is_active(now));
        let windows = self
            .maintenance
            .iter()
            .filter(|window| window.when.iter().any(|weekly| weekly.is_active(now)));
        Quiet {
            matchers: silences
                .map(|silence| (silence.id.clone(), silence.matcher.clone()))
                .chain(windows.map(|window| (window.name.clone(), window.matcher.clone())))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netfault_model::Subject;

    fn at(secs: i64) -> Time {
        Time::from_secs(1_767_600_000 + secs) // 2026-01-05 08:00:00 UTC, a Monday
    }

    fn about(name: &str) -> Notice {
        Notice {
            subject: Some(Subject::Name { name: name.into() }),
            ..Notice::blank("a", at(0))
        }
    }

    fn silence(conditions: &str, until: i64) -> Silence {
        Silence::new(conditions.parse().unwrap(), at(0), at(until), "patching", "ann")
    }

    #[test]
    fn the_file_is_read_again_when_it_changes_and_silences_end() {
        let folder = tempfile::tempdir().unwrap();
        let file = SilenceFile::new(folder.path().join("silences.json"));
        let mut watcher = Watcher::new(file.clone(), Vec::new());
        assert_eq!(watcher.look(at(0)), Quiet::default());
        let id = silence("name=*.example.com", 60).id;
        file.change(|all| all.push(silence("name=*.example.com", 60)), at(0))
            .unwrap();
        let quiet = watcher.look(at(1));
        assert_eq!(quiet.hides(&about("www.example.com")), Some(id.as_str()));
        assert_eq!(quiet.hides(&about("www.example.net")), None);
        assert_eq!(watcher.look(at(60)), Quiet::default(), "it has ended");
        // Ended early.
        let ended = file.change(|all| all.iter_mut().for_each(|one| one.until = at(5)), at(5));
        ended.unwrap();
        assert_eq!(watcher.look(at(5)), Quiet::default());
        assert_eq!(file.read().unwrap().len(), 1);
        // Old ones go with the next change.
        file.change(|_| (), at(8 * 86_400)).unwrap();
        assert_eq!(file.read().unwrap(), []);
    }

    #[test]
    fn a_damaged_file_leaves_the_silences_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let file = SilenceFile::new(folder.path().join("silences.json"));
        file.change(|all| all.push(silence("", 60)), at(0)).unwrap();
        let mut watcher = Watcher::new(file.clone(), Vec::new());
        assert!(watcher.look(at(1)).hides(&about("x")).is_some());
        fs::write(file.path(), b"[{").unwrap();
        assert!(watcher.look(at(2)).hides(&about("x")).is_some());
        let error = file.read().unwrap_err().to_string();
        assert!(error.contains("silences.json"), "{error}");
    }

    #[test]
    fn a_window_hides_targets_and_not_ourselves() {
        let window = Maintenance {
            name: "nightly".into(),
            when: vec!["Mon 09:00-10:00 Europe/Berlin".parse().unwrap()],
            matcher: Matcher::default(),
        };
        let folder = tempfile::tempdir().unwrap();
        let mut watcher = Watcher::new(SilenceFile::new(folder.path().join("none")), vec![window]);
        let quiet = watcher.look(at(0));
        assert_eq!(quiet.hides(&about("x")), Some("nightly"));
        let ours = Notice {
            about: About::Ourselves,
            ..about("x")
        };
        assert_eq!(quiet.hides(&ours), None);
        assert_eq!(watcher.look(at(3_600)), Quiet::default());
    }
}

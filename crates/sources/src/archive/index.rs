//! The page that a web server shows for a folder: which files are in it.

use std::path::Path;

use hyper::Uri;
use netfault_model::Collector;

use super::entry::{Entry, Place, is_safe_name};
use super::url;
use crate::mrt::{FileKind, name};

/// The files of one kind that a page links to. `None` if it lists no file of an archive at all: then it is
/// some other page.
pub fn read(page: &[u8], folder: &Uri, collector: Collector, kind: FileKind) -> Option<Vec<Entry>> {
    let text = String::from_utf8_lossy(page);
    let mut any = false;
    let mut entries = Vec::new();
    for link in links(&text) {
        let file = link.rsplit('/').next().unwrap_or_default();
        let path = Path::new(file);
        let (Some(named), Some(starts)) = (name::kind_of(path), name::time_of(path)) else {
            continue;
        };
        any = true;
        if named != kind || !is_safe_name(file) || name::is_other(path) {
            continue;
        }
        // Always below the folder that we asked for, wherever the link points to.
        entries.extend(url::below(folder, file).map(|url| Entry {
            collector,
            kind,
            starts,
            ends: starts,
            place: Place::Web(vec![url]),
        }));
    }
    any.then_some(entries)
}

/// What stands in `href="…"`.
fn links(page: &str) -> impl Iterator<Item = &str> {
    page.split("href=").skip(1).filter_map(|rest| {
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        rest.get(1..)?.split(quote).next()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_lists_files() {
        let page = br#"<a href="?C=N;O=D">Name</a> <a href="/rrc00/">Parent</a>
            <a href="bview.20211004.0000.gz">b</a> <a href='updates.20211004.0005.gz'>u</a>
            <a href="http://evil.example/x/updates.20211004.0010.gz">u</a> <a href="updates.20211004.0005.gz.md5">"#;
        let folder = Uri::from_static("http://a/rrc00/2021.10/");
        let found = read(page, &folder, Collector::new("rrc00"), FileKind::Updates).unwrap();
        let all: Vec<String> = found.iter().map(Entry::address).collect();
        assert_eq!(
            all,
            [
                "http://a/rrc00/2021.10/updates.20211004.0005.gz",
                "http://a/rrc00/2021.10/updates.20211004.0010.gz"
            ]
        );
        assert_eq!(
            read(
                b"<h1>Welcome</h1>",
                &folder,
                Collector::new("rrc00"),
                FileKind::Updates
            ),
            None
        );
    }
}

//! Where libchdb is looked for.

use std::path::{Path, PathBuf};

use super::error::EngineError;

const FILE: &str = "libchdb.so";

/// The library file: `explicit`, else `$LIBCHDB`, else `.netfault/lib` in the current folder, the executable's
/// folder or any folder above them, else `~/.local/share/netfault/lib`, else the system's library folders.
///
/// A path that was named but does not exist is an error, not a reason to look further.
pub fn find(explicit: Option<&Path>) -> Result<PathBuf, EngineError> {
    let named = explicit.map(Path::to_owned).or_else(|| {
        std::env::var_os("LIBCHDB")
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    });
    if let Some(path) = named {
        return first(vec![path]);
    }
    let mut places = Vec::new();
    let here = std::env::current_dir().ok();
    let program = std::env::current_exe().ok();
    for start in [here.as_deref(), program.as_deref()].into_iter().flatten() {
        places.extend(
            start
                .ancestors()
                .map(|folder| folder.join(".netfault/lib").join(FILE)),
        );
    }
    if let Some(home) = std::env::var_os("HOME") {
        places.push(Path::new(&home).join(".local/share/netfault/lib").join(FILE));
    }
    places.extend(["/usr/local/lib", "/usr/lib"].map(|folder| Path::new(folder).join(FILE)));
    first(places)
}

fn first(places: Vec<PathBuf>) -> Result<PathBuf, EngineError> {
    let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
    if let Some(found) = places.iter().find(|path| path.is_file()) {
        return Ok(absolute(found));
    }
    let tried: Vec<_> = places
        .iter()
        .take(1)
        .chain(places.iter().skip(1).rev().take(3).rev())
        .collect();
    let tried: Vec<_> = tried.iter().map(|path| path.display().to_string()).collect();
    Err(EngineError::Missing {
        tried: tried.join(", "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_library_that_is_absent_is_an_error_that_says_how_to_get_it() {
        let error = find(Some(Path::new("/nonexistent/libchdb.so")))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("/nonexistent/libchdb.so") && error.contains("make libchdb"),
            "{error}"
        );
    }
}

//! The golden files.

use std::path::Path;

/// Compares with `tests/golden/adversarial/<scenario>.ndjson`, or writes it if UPDATE_GOLDEN is set, but never in CI.
#[track_caller]
pub fn compare(scenario: &str, said: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/adversarial");
    let file = folder.join(format!("{scenario}.ndjson"));
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        assert!(
            std::env::var_os("CI").is_none(),
            "golden files are not written in CI"
        );
        std::fs::create_dir_all(&folder).expect("the folder of golden files");
        std::fs::write(&file, said).expect("a golden file");
        return;
    }
    let golden = std::fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{}: {error}; UPDATE_GOLDEN=1 writes it", file.display()));
    if golden == said {
        return;
    }
    let (was, is) = (golden.lines().count(), said.lines().count());
    let pairs = golden.lines().zip(said.lines()).enumerate();
    let first = pairs.into_iter().find(|(_, (golden, said))| golden != said);
    let (line, golden, said) = match first {
        Some((line, (golden, said))) => (line, golden, said),
        None => (was.min(is), "(or nothing more)", "(or nothing more)"),
    };
    panic!(
        "{scenario}: line {} of {is} is not that of the golden file, which has {was}\n  golden: {golden}\n  now:    {said}\n\
         If this is right, UPDATE_GOLDEN=1 writes it, to be read as a diff.",
        line + 1
    );
}

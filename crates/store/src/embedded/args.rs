//! The command line of a database process, as [`super::Supervised`] writes it and `db serve` reads it.

use std::ffi::OsString;
use std::path::PathBuf;

use super::error::EngineError;
use super::serve::{Ready, ServeOptions};

/// The password travels in the environment, where other users cannot see it, and not on the command line.
pub const PASSWORD_ENV: &str = "NETFAULT_DB_PASSWORD";

/// `--dir DIR [--listen ADDR] [--user NAME] [--libchdb FILE] [--ready-fd N] [--stop-with-stdin]`, and the password in
/// [`PASSWORD_ENV`].
pub fn parse_args(args: impl IntoIterator<Item = OsString>) -> Result<ServeOptions, EngineError> {
    let mut options = ServeOptions::new(PathBuf::new());
    options.password = std::env::var(PASSWORD_ENV)
        .ok()
        .filter(|password| !password.is_empty());
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let name = arg.to_string_lossy().into_owned();
        if name == "--stop-with-stdin" {
            options.stop_with_stdin = true;
            continue;
        }
        let value = args
            .next()
            .ok_or_else(|| EngineError::Usage(format!("{name} needs a value")))?;
        let text = value.to_string_lossy().into_owned();
        let wrong = || EngineError::Usage(format!("{name} cannot be {text}"));
        match name.as_str() {
            "--dir" => options.dir = value.into(),
            "--libchdb" => options.libchdb = Some(value.into()),
            "--listen" => options.listen = text.parse().map_err(|_| wrong())?,
            "--user" => options.user.clone_from(&text),
            "--ready-fd" => options.ready = Ready::Fd(text.parse().map_err(|_| wrong())?),
            _ => return Err(EngineError::Usage(format!("unknown option {name}"))),
        }
    }
    if options.dir.as_os_str().is_empty() {
        return Err(EngineError::Usage(
            "--dir is missing: the folder of the database".to_owned(),
        ));
    }
    Ok(options)
}

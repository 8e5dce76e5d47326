//! `${ENV}` and secrets: a value, and how it was referred to, so that it can be printed without being shown.

use std::path::{Path, PathBuf};

use netfault_alerts::Secret;

/// How an environment is asked: the process's own, or a test's.
pub(super) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A secret and where it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct SecretRef {
    value: Secret,
    pub(super) from: From,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum From {
    /// The text as typed, with its `${ENV}`.
    Env(String),
    File(PathBuf),
    /// It stands in the file itself.
    Inline,
}

/// What `config print` shows for a secret that was typed into the file.
pub(super) const HIDDEN: &str = "***";

impl SecretRef {
    /// From a text with or without `${ENV}`.
    pub(super) fn typed(text: &str, env: Env<'_>) -> Result<Self, String> {
        if text == HIDDEN {
            return Err(
                "'***' stands for a secret that `config print` did not show; put the secret here, or \
                        better ${ENV}"
                    .to_owned(),
            );
        }
        let value = expand(text, env)?;
        let from = if refers(text) {
            From::Env(text.to_owned())
        } else {
            From::Inline
        };
        Ok(SecretRef {
            value: Secret::new(value),
            from,
        })
    }

    /// From a file: its text without the line ends after it.
    pub(super) fn file(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let value = text.trim_end_matches(['\n', '\r']);
        if value.is_empty() {
            return Err(format!("{} is empty", path.display()));
        }
        Ok(SecretRef {
            value: Secret::new(value),
            from: From::File(path.to_owned()),
        })
    }

    pub fn secret(&self) -> &Secret {
        &self.value
    }

    pub fn reveal(&self) -> &str {
        self.value.reveal()
    }

    /// The reference, or `***`.
    pub(super) fn shown(&self) -> String {
        match &self.from {
            From::Env(text) => text.clone(),
            From::File(path) => path.display().to_string(),
            From::Inline => HIDDEN.to_owned(),
        }
    }
}

fn refers(text: &str) -> bool {
    text.replace("$${", "").contains("${")
}

/// Puts the environment into a text: `${NAME}`, `${NAME:-default}` (also where NAME is empty), `$${` for a
/// literal `${`. A value is taken as it is: what is inside of it is not expanded again.
pub(super) fn expand(text: &str, env: Env<'_>) -> Result<String, String> {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find("${") {
        if at > 0 && rest.as_bytes()[at - 1] == b'$' {
            out.push_str(&rest[..at - 1]);
            out.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        out.push_str(&rest[..at]);
        let Some(end) = rest[at..].find('}') else {
            return Err("'${' is not closed by '}' (a literal '${' is written '$${')".to_owned());
        };
        out.push_str(&variable(&rest[at + 2..at + end], env)?);
        rest = &rest[at + end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

fn variable(inside: &str, env: Env<'_>) -> Result<String, String> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let first_is_digit = name.starts_with(|c: char| c.is_ascii_digit());
    if name.is_empty() || first_is_digit || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(format!(
            "'${{{inside}}}' is no environment variable: write ${{NAME}} or ${{NAME:-default}}"
        ));
    }
    match (env(name), default) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(format!("the environment variable {name} is not set")),
    }
}

/// So that a printed text is not expanded when it is read back.
pub(super) fn escape(text: &str) -> String {
    text.replace("${", "$${")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "PW" => Some("se${cret".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn the_table_of_expansions() {
        for (text, value) in [
            ("plain $5 {x}", "plain $5 {x}"),
            ("${PW}", "se${cret"),
            ("a${PW}b${EMPTY}c", "ase${cretbc"),
            ("${NONE:-x:-y}", "x:-y"),
            ("${EMPTY:-x}", "x"),
            ("$${PW}", "${PW}"),
        ] {
            assert_eq!(expand(text, &env).as_deref(), Ok(value), "{text}");
        }
        for text in ["${NONE}", "${", "${}", "${1X}", "${A B}"] {
            assert!(expand(text, &env).is_err(), "{text}");
        }
    }

    #[test]
    fn an_escaped_text_reads_back_equal() {
        for text in ["a${b}", "$${c}", "${", "$"] {
            assert_eq!(expand(&escape(text), &env).as_deref(), Ok(text), "{text}");
        }
    }

    #[test]
    fn a_secret_is_shown_by_its_reference_only() {
        assert_eq!(SecretRef::typed("${PW}", &env).unwrap().shown(), "${PW}");
        let inline = SecretRef::typed("hunter2", &env).unwrap();
        assert_eq!(inline.shown(), "***");
        assert!(!format!("{inline:?}").contains("hunter2"));
        assert!(
            SecretRef::typed("***", &env)
                .unwrap_err()
                .contains("config print")
        );
    }
}

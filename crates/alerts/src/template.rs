//! Titles and texts in the user's own words (Jinja, by minijinja). Checked when the configuration is read; what still
//! goes wrong falls back to netfault's words, because a message in the wrong words is better than none.

use std::fmt;
use std::sync::Arc;

use minijinja::{Environment, UndefinedBehavior};

use crate::notice::Notice;
use crate::samples;

/// Instructions of one rendering: far more than a message needs, and an end of a loop without one.
const FUEL: u64 = 200_000;
const MAX_SOURCE: usize = 16 << 10;

/// What a receiver's messages say. Neither given: netfault's own words.
#[derive(Clone, Debug, Default)]
pub struct Template {
    title: Option<String>,
    body: Option<String>,
    environment: Option<Arc<Environment<'static>>>,
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        (&self.title, &self.body) == (&other.title, &other.body)
    }
}

impl Template {
    /// One sentence with the line, if a template cannot be read, or cannot say one of the sample alerts.
    pub fn new(title: Option<String>, body: Option<String>) -> Result<Self, String> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        for (name, source) in [("title", &title), ("body", &body)] {
            let Some(source) = source else { continue };
            if source.len() > MAX_SOURCE {
                return Err(format!(
                    "the template of the {name} is longer than {MAX_SOURCE} bytes"
                ));
            }
            environment
                .add_template_owned(name, source.clone())
                .map_err(|error| sentence(name, &error))?;
        }
        let template = Template {
            environment: (title.is_some() || body.is_some()).then(|| Arc::new(environment)),
            title,
            body,
        };
        for notice in samples::notices() {
            for name in ["title", "body"] {
                template
                    .one(name, &notice)
                    .map_err(|error| sentence(name, &error))?;
            }
        }
        Ok(template)
    }

    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    pub fn body(&self) -> Option<&str> {
        self.body.as_deref()
    }

    /// Title and text of `notice`.
    pub(crate) fn render(&self, notice: &Notice) -> (String, String) {
        let one = |name: &str, default: &str| match self.one(name, notice) {
            Ok(Some(text)) => text,
            Ok(None) => default.to_owned(),
            Err(error) => {
                tracing::warn!(
                    id = notice.id,
                    "{}; netfault's own words are sent",
                    sentence(name, &error)
                );
                default.to_owned()
            }
        };
        (one("title", &notice.title), one("body", &notice.text))
    }

    fn one(&self, name: &str, notice: &Notice) -> Result<Option<String>, minijinja::Error> {
        let given = if name == "title" { &self.title } else { &self.body };
        let (Some(environment), Some(_)) = (&self.environment, given) else {
            return Ok(None);
        };
        environment.get_template(name)?.render(context(notice)).map(Some)
    }
}

/// The names that a template knows: the fields of the notice, and a few in the words of people.
fn context(notice: &Notice) -> minijinja::Value {
    let mut fields = serde_json::to_value(notice).unwrap_or_default();
    if let Some(fields) = fields.as_object_mut() {
        let subject = notice
            .subject
            .as_ref()
            .map(crate::notices::who)
            .unwrap_or_default();
        fields.insert("word".into(), notice.state.word().into());
        fields.insert("subject_name".into(), subject.into());
        fields.insert("cause".into(), notice.cause().into());
        // Always there, so that a template may ask for them.
        for name in ["group", "trouble", "incident"] {
            fields.entry(name).or_insert(serde_json::Value::Null);
        }
    }
    minijinja::Value::from(minijinja::value::Serde(&fields))
}

fn sentence(name: &str, error: &dyn fmt::Display) -> String {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    format!("the template of the {name} is wrong: {first}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn title(source: &str) -> Result<Template, String> {
        Template::new(Some(source.to_owned()), None)
    }

    #[test]
    fn the_users_words_are_said() {
        let template = title("[{{ severity }}] {{ word }} {{ subject_name or 'netfault' }}").unwrap();
        let said: Vec<String> = samples::notices()
            .iter()
            .map(|notice| template.render(notice).0)
            .collect();
        assert_eq!(said[0], "[3] ALERT www.example.com");
        assert_eq!(said[4], "[3] RESOLVED www.example.com");
        assert_eq!(said[5], "[1] ALERT netfault");
        assert_eq!(template.render(&samples::notices()[0]).1, "This is a sample.");
    }

    #[test]
    fn what_is_wrong_is_one_sentence_with_its_line() {
        let error = title("a\n{{ severity ").unwrap_err();
        assert!(
            error.starts_with("the template of the title is wrong:") && error.contains(":2"),
            "{error}"
        );
        let error = title("a\n\n{{ sevrity }}").unwrap_err();
        assert!(error.contains(":3") && !error.contains('\n'), "{error}");
        // Only notices about ourselves have no incident: found as well.
        let error = title("{{ incident.confidence }}").unwrap_err();
        assert!(error.contains("title"), "{error}");
        assert!(title("{{ incident.confidence if incident }}").is_ok());
    }

    #[test]
    fn a_loop_without_end_ends() {
        let endless =
            "{% for a in range(9999) %}{% for b in range(9999) %}{{ a * b }}{% endfor %}{% endfor %}";
        assert!(title(endless).unwrap_err().contains("fuel"));
    }
}

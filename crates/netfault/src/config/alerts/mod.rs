//! The `alerts` section: who is told of what, and when not.
//!
//! * [`raw`] what the user typed; [`read`] its meaning; [`print`] back again
//! * here: what it means, and the same as the alerts crate takes it

mod print;
mod raw;
mod read;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use netfault_alerts::heartbeat::{Beat, Url};
use netfault_alerts::receivers::{Alertmanager, Command, Email, Ntfy, PagerDuty, Slack, Smtp, Tls};
use netfault_alerts::{Headers, Maintenance, Rate, Route, Routing, Secret, Setup, SilenceFile, Template};

pub(super) use print::to_raw;
pub(super) use raw::RawAlerts;
pub(super) use read::resolve;

use super::SecretRef;

#[derive(Clone, Debug, PartialEq)]
pub struct Alerts {
    /// Folder of what is not delivered yet.
    pub outbox: PathBuf,
    /// What somebody silenced on the command line.
    pub silences: PathBuf,
    /// Where people read more; `{id}` stands for the id of the incident.
    pub link: Option<String>,
    pub receivers: Vec<Receiver>,
    /// Empty: every receiver is told of everything.
    pub routes: Vec<Route>,
    pub maintenance: Vec<Maintenance>,
    pub heartbeats: Vec<Heartbeat>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Receiver {
    /// Letters, digits, `-` and `_`: it names a file of the outbox too.
    pub name: String,
    pub to: To,
    pub rate: Option<Rate>,
    pub template: Template,
}

/// Headers by name, in lower case.
pub type SecretHeaders = BTreeMap<String, SecretRef>;

#[derive(Clone, Debug, PartialEq)]
pub enum To {
    Stdout,
    Webhook {
        /// May carry a token (many services put it there), so it is treated as a secret.
        url: SecretRef,
        secret: Option<SecretRef>,
        timeout: Duration,
        headers: SecretHeaders,
    },
    SlackWebhook {
        url: SecretRef,
        timeout: Duration,
    },
    SlackBot {
        token: SecretRef,
        channel: String,
        api: String,
        timeout: Duration,
    },
    PagerDuty {
        routing_key: SecretRef,
        url: String,
        timeout: Duration,
    },
    Alertmanager(AlertmanagerTo),
    Email {
        host: String,
        port: u16,
        tls: Tls,
        user: Option<String>,
        password: Option<SecretRef>,
        /// A certificate authority of one's own, and its content.
        ca_file: Option<(PathBuf, Vec<u8>)>,
        from: String,
        to: Vec<String>,
        timeout: Duration,
    },
    Ntfy {
        url: String,
        topic: String,
        token: Option<SecretRef>,
        headers: SecretHeaders,
        timeout: Duration,
    },
    Command {
        run: Run,
        timeout: Duration,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub struct AlertmanagerTo {
    pub url: String,
    pub labels: BTreeMap<String, String>,
    pub headers: SecretHeaders,
    pub timeout: Duration,
    pub refresh: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Run {
    /// Program and arguments.
    Program(Vec<String>),
    /// A line for `/bin/sh`.
    Shell(String),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Heartbeat {
    pub name: String,
    pub every: Duration,
    pub to: BeatTo,
}

#[derive(Clone, Debug, PartialEq)]
pub enum BeatTo {
    Url {
        url: SecretRef,
        post: bool,
        headers: SecretHeaders,
        timeout: Duration,
    },
    Alertmanager(AlertmanagerTo),
}

impl Alerts {
    /// As the alerts crate takes it, without [`netfault_alerts::Health`].
    pub fn setup(&self) -> Result<Setup, String> {
        let receivers = self
            .receivers
            .iter()
            .map(|one| one.resolved(self.link.as_deref()));
        Ok(Setup {
            receivers: receivers.collect::<Result<_, _>>()?,
            routing: Routing {
                routes: self.routes.clone(),
            },
            maintenance: self.maintenance.clone(),
            silences: Some(SilenceFile::new(&self.silences)),
            heartbeats: self
                .heartbeats
                .iter()
                .map(Heartbeat::resolved)
                .collect::<Result<_, _>>()?,
            health: None,
        })
    }
}

impl Receiver {
    fn resolved(&self, link: Option<&str>) -> Result<netfault_alerts::Receiver, String> {
        Ok(netfault_alerts::Receiver {
            rate: self.rate,
            template: self.template.clone(),
            link: link.map(str::to_owned),
            ..netfault_alerts::Receiver::new(&self.name, self.to.resolved()?)
        })
    }
}

fn headers(headers: &SecretHeaders) -> Result<Headers, String> {
    let all = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.secret().clone()));
    netfault_alerts::headers(all)
}

impl To {
    fn resolved(&self) -> Result<netfault_alerts::To, String> {
        use netfault_alerts::To as Is;
        Ok(match self {
            To::Stdout => Is::Stdout,
            To::Webhook {
                url,
                secret,
                timeout,
                headers,
            } => {
                let headers = headers
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.secret().clone()));
                let secret = secret.as_ref().map(|secret| secret.secret().clone());
                Is::Webhook(netfault_alerts::Webhook::new(
                    url.reveal(),
                    secret,
                    *timeout,
                    headers,
                )?)
            }
            To::SlackWebhook { url, timeout } => Is::Slack(Slack::webhook(url.reveal(), *timeout)?),
            To::SlackBot {
                token,
                channel,
                api,
                timeout,
            } => Is::Slack(Slack::bot(api, token.secret().clone(), channel, *timeout)?),
            To::PagerDuty {
                routing_key,
                url,
                timeout,
            } => Is::PagerDuty(PagerDuty::new(url, routing_key.secret().clone(), *timeout)?),
            To::Alertmanager(to) => Is::Alertmanager(to.resolved()?),
            To::Email { .. } => Is::Email(Box::new(self.email()?)),
            To::Ntfy {
                url,
                topic,
                token,
                headers,
                timeout,
            } => Is::Ntfy(Ntfy::new(
                url,
                topic,
                with_token(headers, token.as_ref())?,
                *timeout,
            )?),
            To::Command { run, timeout } => Is::Command(match run {
                Run::Program(argv) => Command::new(argv.clone(), *timeout)?,
                Run::Shell(line) => Command::shell(line, *timeout)?,
            }),
        })
    }

    fn email(&self) -> Result<Email, String> {
        let To::Email {
            host,
            port,
            tls,
            user,
            password,
            ca_file,
            from,
            to,
            timeout,
        } = self
        else {
            return Err("this is no mail".to_owned());
        };
        let login = match (user, password) {
            (Some(user), Some(password)) => Some((user.clone(), password.secret().clone())),
            (None, None) => None,
            _ => return Err("user and password go together".to_owned()),
        };
        let smtp = Smtp {
            host: host.clone(),
            port: *port,
            tls: *tls,
            login,
            ca: ca_file.as_ref().map(|(_, pem)| pem.clone()),
            timeout: *timeout,
        };
        Email::new(smtp, from, to)
    }
}

fn with_token(all: &SecretHeaders, token: Option<&SecretRef>) -> Result<Headers, String> {
    let mut headers = headers(all)?;
    if let Some(token) = token {
        let bearer = Secret::new(format!("Bearer {}", token.reveal()));
        headers.extend(netfault_alerts::headers([("authorization", bearer)])?);
    }
    Ok(headers)
}

impl AlertmanagerTo {
    fn resolved(&self) -> Result<Alertmanager, String> {
        let (labels, headers) = (self.labels.clone(), headers(&self.headers)?);
        Alertmanager::new(&self.url, labels, headers, self.timeout, self.refresh)
    }
}

impl Heartbeat {
    pub fn resolved(&self) -> Result<netfault_alerts::Heartbeat, String> {
        let to = match &self.to {
            BeatTo::Url {
                url,
                post,
                headers: all,
                timeout,
            } => Beat::Url(Url::new(url.reveal(), *post, headers(all)?, *timeout)?),
            BeatTo::Alertmanager(to) => Beat::Alertmanager(to.resolved()?),
        };
        Ok(netfault_alerts::Heartbeat {
            name: self.name.clone(),
            every: self.every,
            to,
        })
    }
}

/// What `config check` says.
pub(super) fn describe(alerts: &Alerts) -> Vec<String> {
    let mut lines = vec![receivers(alerts)];
    if !alerts.routes.is_empty() {
        let route = |route: &Route| format!("{} → {}", route.matcher, route.receivers.join(", "));
        let routes: Vec<String> = alerts.routes.iter().map(route).collect();
        lines.push(format!("routes:  {}", routes.join("; ")));
        let routing = Routing {
            routes: alerts.routes.clone(),
        };
        if routing.has_holes() {
            lines.push("routes:  an alert that matches no route is told to nobody (a last route without match would take it)".to_owned());
        }
        let unused = routing.unused(alerts.receivers.iter().map(|one| one.name.as_str()));
        if !unused.is_empty() {
            lines.push(format!("routes:  no route names {}", unused.join(", ")));
        }
    }
    for window in &alerts.maintenance {
        let when: Vec<String> = window.when.iter().map(ToString::to_string).collect();
        lines.push(format!(
            "silent:  {} ({}): {}",
            when.join(", "),
            window.name,
            window.matcher
        ));
    }
    for beat in &alerts.heartbeats {
        lines.push(format!(
            "life:    a sign every {} to {}",
            super::values::show_duration(beat.every),
            beat.name
        ));
    }
    lines
}

fn receivers(alerts: &Alerts) -> String {
    if alerts.receivers.is_empty() {
        return "alerts:  nobody is told (alerts.receivers is empty)".to_owned();
    }
    let receiver = |receiver: &Receiver| {
        let what = match &receiver.to {
            To::Stdout => "standard output".to_owned(),
            To::Webhook { secret: Some(_), .. } => "webhook, signed".to_owned(),
            To::Webhook { .. } => "webhook".to_owned(),
            To::SlackWebhook { .. } => "Slack".to_owned(),
            To::SlackBot { channel, .. } => format!("Slack {channel}"),
            To::PagerDuty { .. } => "PagerDuty".to_owned(),
            To::Alertmanager(to) => format!("Alertmanager {}", to.url),
            To::Email { to, .. } => format!("mail to {}", to.join(", ")),
            To::Ntfy { topic, .. } => format!("ntfy {topic}"),
            To::Command { .. } => "command".to_owned(),
        };
        let rate = receiver
            .rate
            .map(|rate| format!(", at most {rate}"))
            .unwrap_or_default();
        format!("{} ({what}{rate})", receiver.name)
    };
    let told: Vec<String> = alerts.receivers.iter().map(receiver).collect();
    format!("alerts:  {}", told.join(", "))
}

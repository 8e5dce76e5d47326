//! Typed → meant: defaults, secrets, and every check that needs no network.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use netfault_alerts::matcher::Key;
use netfault_alerts::receivers::{Alertmanager, Command, PagerDuty, Tls, check_name};
use netfault_alerts::{GroupBy, Maintenance, Matcher, Rate, Route, Template, Weekly};
use serde_saphyr::{Location, Spanned};

use super::super::SecretRef;
use super::super::raw::Text;
use super::super::resolve::{Context, Result};
use super::super::values;
use super::raw::*;
use super::*;

const SLACK_API: &str = "https://slack.com/api";
const NTFY: &str = "https://ntfy.sh";
/// Most dead man's switches want one a minute.
const BEAT: Duration = Duration::from_secs(60);
/// A mail server may make us wait before its greeting (RFC 5321 §4.5.3.2.1 allows minutes).
const MAIL_TIMEOUT: Duration = Duration::from_secs(60);

pub(in super::super) fn resolve(context: &Context, raw: RawAlerts, data_dir: &Path) -> Result<Alerts> {
    let mut receivers: Vec<Receiver> = Vec::new();
    for raw in raw.receivers.unwrap_or_default() {
        let place = raw.name.referenced;
        let receiver = receiver(context, raw)?;
        if receivers.iter().any(|other| other.name == receiver.name) {
            return context.wrong(
                place,
                format!("the receiver '{}' stands here a second time", receiver.name),
            );
        }
        receivers.push(receiver);
    }
    let link = raw.link.as_ref();
    let link = link.map(|text| context.read(text, |text| values::url(text, &["http", "https"])));
    let maintenance = raw.maintenance.unwrap_or_default();
    let heartbeats = raw.heartbeats.unwrap_or_default();
    Ok(Alerts {
        outbox: context.folder_or(raw.outbox.as_ref(), data_dir.join("outbox"))?,
        silences: data_dir.join("silences.json"),
        link: link.transpose()?,
        routes: routes(context, raw.routes.unwrap_or_default(), &receivers)?,
        maintenance: maintenance
            .into_iter()
            .map(|raw| window(context, raw))
            .collect::<Result<_>>()?,
        heartbeats: heartbeats
            .into_iter()
            .map(|raw| heartbeat(context, raw))
            .collect::<Result<_>>()?,
        receivers,
    })
}

fn name(context: &Context, text: &Text) -> Result<String> {
    context.read(text, |text| check_name(text).map(|()| text.to_owned()))
}

fn plain(text: &str) -> std::result::Result<String, String> {
    match text.trim() {
        "" => Err("something is missing here".to_owned()),
        text => Ok(text.to_owned()),
    }
}

fn http(text: &str) -> std::result::Result<String, String> {
    values::url(text, &["http", "https"])
}

fn timeout(context: &Context, text: Option<&Text>, default: Duration) -> Result<Duration> {
    context.read_or(text, default, |text| match values::duration(text)? {
        timeout if timeout.is_zero() => Err("a timeout of nothing lets no receiver answer".to_owned()),
        timeout => Ok(timeout),
    })
}

fn receiver(context: &Context, raw: RawReceiver) -> Result<Receiver> {
    let name = name(context, &raw.name)?;
    let rate = raw.rate.as_ref();
    let rate = rate
        .map(|text| context.read(text, |text| text.parse::<Rate>()))
        .transpose()?;
    let template = template(context, raw.template.as_ref())?;
    let mut to = Vec::new();
    let here = raw.name.referenced;
    to.extend(raw.stdout.map(|RawStdout {}| Ok((here, To::Stdout))));
    to.extend(raw.webhook.map(|raw| webhook(context, raw)));
    to.extend(raw.slack.map(|raw| slack(context, here, raw)));
    to.extend(raw.pagerduty.map(|raw| pagerduty(context, here, raw)));
    to.extend(raw.alertmanager.map(|raw| {
        let place = raw.url.referenced;
        Ok((place, To::Alertmanager(alertmanager(context, raw)?)))
    }));
    to.extend(raw.email.map(|raw| email(context, raw)));
    to.extend(raw.ntfy.map(|raw| ntfy(context, raw)));
    to.extend(raw.command.map(|raw| command(context, here, raw)));
    let kinds = to.len();
    let Some(to) = to.pop().filter(|_| kinds == 1) else {
        let message = format!(
            "the receiver '{name}' needs one of stdout, webhook, slack, pagerduty, alertmanager, email, ntfy and \
             command; it has {kinds}"
        );
        return context.wrong(here, message);
    };
    let (place, to) = to?;
    let receiver = Receiver {
        name,
        to,
        rate,
        template,
    };
    receiver
        .resolved(None)
        .or_else(|message| context.wrong(place, message))?;
    Ok(receiver)
}

/// Templates are taken as they are: `${…}` means nothing in them.
fn template(context: &Context, raw: Option<&RawTemplate>) -> Result<Template> {
    let Some(raw) = raw else {
        return Ok(Template::default());
    };
    let text = |text: &Option<Text>| text.as_ref().map(|text| text.value.clone());
    let place = raw.title.as_ref().or(raw.body.as_ref());
    let place = place.map_or(Location::UNKNOWN, |text| text.referenced);
    let (title, body) = (text(&raw.title), text(&raw.body));
    if let Err(message) = Template::new(title.clone(), None) {
        return context.wrong(place, message);
    }
    let place = raw.body.as_ref().map_or(place, |text| text.referenced);
    Template::new(title, body).or_else(|message| context.wrong(place, message))
}

type Placed = Result<(Location, To)>;

fn typed(context: &Context, text: &Text) -> Result<SecretRef> {
    SecretRef::typed(&text.value, context.env).or_else(|message| context.wrong(text.referenced, message))
}

fn headers(context: &Context, raw: Option<&BTreeMap<String, Text>>) -> Result<SecretHeaders> {
    let one = |(name, text): (&String, &Text)| Ok((name.to_ascii_lowercase(), typed(context, text)?));
    raw.into_iter().flatten().map(one).collect()
}

fn webhook(context: &Context, raw: RawWebhook) -> Placed {
    let to = To::Webhook {
        url: typed(context, &raw.url)?,
        secret: context.secret(raw.secret.as_ref(), raw.secret_file.as_ref())?,
        timeout: timeout(context, raw.timeout.as_ref(), netfault_alerts::TIMEOUT)?,
        headers: headers(context, raw.headers.as_ref())?,
    };
    Ok((raw.url.referenced, to))
}

fn slack(context: &Context, here: Location, raw: RawSlack) -> Placed {
    let place = raw
        .url
        .as_ref()
        .or(raw.token.as_ref())
        .map_or(here, |text| text.referenced);
    let timeout = timeout(context, raw.timeout.as_ref(), netfault_alerts::TIMEOUT)?;
    let url = context.secret(raw.url.as_ref(), raw.url_file.as_ref())?;
    let token = context.secret(raw.token.as_ref(), raw.token_file.as_ref())?;
    let to = match (url, token, &raw.channel) {
        (Some(url), None, None) => To::SlackWebhook { url, timeout },
        (None, Some(token), Some(channel)) => To::SlackBot {
            token,
            channel: context.read(channel, plain)?,
            api: context.read_or(raw.api.as_ref(), SLACK_API.to_owned(), http)?,
            timeout,
        },
        _ => {
            let message = "slack needs either url (an incoming webhook), or token and channel (a bot, which answers in threads)";
            return context.wrong(place, message);
        }
    };
    Ok((place, to))
}

fn pagerduty(context: &Context, here: Location, raw: RawPagerDuty) -> Placed {
    let place = raw.routing_key.as_ref().map_or(here, |text| text.referenced);
    let Some(routing_key) = context.secret(raw.routing_key.as_ref(), raw.routing_key_file.as_ref())? else {
        return context.wrong(
            place,
            "pagerduty needs routing_key or routing_key_file: the integration key of a service",
        );
    };
    let to = To::PagerDuty {
        routing_key,
        url: context.read_or(raw.url.as_ref(), PagerDuty::URL.to_owned(), http)?,
        timeout: timeout(context, raw.timeout.as_ref(), netfault_alerts::TIMEOUT)?,
    };
    Ok((place, to))
}

fn alertmanager(context: &Context, raw: RawAlertmanager) -> Result<AlertmanagerTo> {
    let label = |(name, text): (&String, &Text)| Ok((name.clone(), context.read(text, plain)?));
    let labels = raw.labels.iter().flatten().map(label).collect::<Result<_>>()?;
    Ok(AlertmanagerTo {
        url: context.read(&raw.url, http)?,
        labels,
        headers: headers(context, raw.headers.as_ref())?,
        timeout: timeout(context, raw.timeout.as_ref(), netfault_alerts::TIMEOUT)?,
        refresh: context.read_or(raw.refresh.as_ref(), Alertmanager::REFRESH, values::duration)?,
    })
}

fn email(context: &Context, raw: RawEmail) -> Placed {
    let tls = match raw.tls {
        None | Some(RawTls::Starttls) => Tls::Starttls,
        Some(RawTls::Tls) => Tls::Tls,
        Some(RawTls::None) => Tls::None,
    };
    // RFC 6409, RFC 8314; plain SMTP is for a server on this host.
    let usual = match tls {
        Tls::Starttls => 587,
        Tls::Tls => 465,
        Tls::None => 25,
    };
    let ca_file = raw.ca_file.as_ref().map(|text| {
        let path = context.folder(text)?;
        let pem = std::fs::read(&path);
        let unread = |error| {
            context.wrong(
                text.referenced,
                format!("cannot read {}: {error}", path.display()),
            )
        };
        pem.or_else(unread).map(|pem| (path.clone(), pem))
    });
    let to = To::Email {
        host: context.read(&raw.host, plain)?,
        port: raw.port.map_or(usual, |port| port.value),
        tls,
        user: raw
            .user
            .as_ref()
            .map(|text| context.read(text, plain))
            .transpose()?,
        password: context.secret(raw.password.as_ref(), raw.password_file.as_ref())?,
        ca_file: ca_file.transpose()?,
        from: context.read(&raw.from, plain)?,
        to: raw
            .to
            .iter()
            .map(|text| context.read(text, plain))
            .collect::<Result<_>>()?,
        timeout: timeout(context, raw.timeout.as_ref(), MAIL_TIMEOUT)?,
    };
    Ok((raw.host.referenced, to))
}

fn ntfy(context: &Context, raw: RawNtfy) -> Placed {
    let to = To::Ntfy {
        url: context.read_or(raw.url.as_ref(), NTFY.to_owned(), http)?,
        topic: context.read(&raw.topic, plain)?,
        token: context.secret(raw.token.as_ref(), raw.token_file.as_ref())?,
        headers: headers(context, raw.headers.as_ref())?,
        timeout: timeout(context, raw.timeout.as_ref(), netfault_alerts::TIMEOUT)?,
    };
    Ok((raw.topic.referenced, to))
}

fn command(context: &Context, here: Location, raw: RawCommand) -> Placed {
    let place = raw.run.iter().flatten().next().or(raw.shell.as_ref());
    let place = place.map_or(here, |text| text.referenced);
    let run = match (&raw.run, &raw.shell) {
        (Some(run), None) => Run::Program(run.iter().map(|text| context.text(text)).collect::<Result<_>>()?),
        // The shell has its own idea of `${…}`.
        (None, Some(shell)) => Run::Shell(shell.value.clone()),
        _ => {
            return context.wrong(
                place,
                "command needs either run: [PROGRAM, ARGUMENT…] or shell: LINE",
            );
        }
    };
    let timeout = timeout(context, raw.timeout.as_ref(), Command::TIMEOUT)?;
    Ok((place, To::Command { run, timeout }))
}

fn routes(context: &Context, raw: Vec<Spanned<RawRoute>>, receivers: &[Receiver]) -> Result<Vec<Route>> {
    let mut routes: Vec<Route> = Vec::new();
    for (number, raw) in raw.into_iter().enumerate() {
        let (place, raw) = (raw.referenced, raw.value);
        let name = match &raw.name {
            Some(text) => self::name(context, text)?,
            None => format!("route-{}", number + 1),
        };
        if routes.iter().any(|other| other.name == name) {
            return context.wrong(place, format!("the route '{name}' stands here a second time"));
        }
        routes.push(route(context, name, place, raw, receivers)?);
    }
    Ok(routes)
}

fn route(
    context: &Context,
    name: String,
    place: Location,
    raw: RawRoute,
    receivers: &[Receiver],
) -> Result<Route> {
    let known = |text: &str| match receivers.iter().any(|receiver| receiver.name == text) {
        true => Ok(text.to_owned()),
        false => Err(format!("there is no receiver '{text}'")),
    };
    let told = raw.receivers.iter().map(|text| context.read(text, known));
    let told: Vec<String> = told.collect::<Result<_>>()?;
    if told.is_empty() {
        return context.wrong(place, format!("the route '{name}' names no receiver"));
    }
    let repeat = |text: &Text| {
        context.read(text, |text| match values::duration(text)? {
            every if every < Duration::from_secs(60) => {
                Err(format!("'{text}' is too short: give at least 1m"))
            }
            every => Ok(every),
        })
    };
    Ok(Route {
        matcher: matcher(context, raw.matches)?,
        receivers: told,
        group_by: raw
            .group_by
            .iter()
            .flatten()
            .map(|text| context.read(text, group_by))
            .collect::<Result<_>>()?,
        wait: context.read_or(raw.wait.as_ref(), Duration::ZERO, values::duration)?,
        repeat: raw.repeat.as_ref().map(repeat).transpose()?,
        updates: raw.updates,
        goes_on: raw.goes_on.unwrap_or(false),
        name,
    })
}

fn group_by(text: &str) -> std::result::Result<GroupBy, String> {
    let known: Vec<&str> = GroupBy::ALL.iter().map(|by| by.name()).collect();
    let found = GroupBy::ALL.into_iter().find(|by| by.name() == text);
    found.ok_or_else(|| format!("'{text}' is nothing to group by: there are {}", known.join(", ")))
}

fn matcher(context: &Context, raw: Option<RawMatch>) -> Result<Matcher> {
    let raw = raw.unwrap_or_default();
    let lists = [
        (Key::Service, raw.service),
        (Key::Subject, raw.subject),
        (Key::Name, raw.name),
        (Key::Prefix, raw.prefix),
        (Key::Asn, raw.asn),
        (Key::Cause, raw.cause),
        (Key::Finding, raw.finding),
    ];
    let singles = [(Key::Severity, raw.severity), (Key::About, raw.about)];
    let lists = lists
        .into_iter()
        .flat_map(|(key, texts)| texts.into_iter().flatten().map(move |text| (key, text)));
    let singles = singles.into_iter().filter_map(|(key, text)| Some((key, text?)));
    let mut matcher = Matcher::default();
    for (key, text) in singles.chain(lists) {
        context.read(&text, |value| matcher.add(key, value))?;
    }
    Ok(matcher)
}

fn window(context: &Context, raw: RawMaintenance) -> Result<Maintenance> {
    let when = raw
        .when
        .iter()
        .map(|text| context.read(text, |text| text.parse::<Weekly>()));
    Ok(Maintenance {
        name: name(context, &raw.name)?,
        when: when.collect::<Result<_>>()?,
        matcher: matcher(context, raw.matches)?,
    })
}

fn heartbeat(context: &Context, raw: RawHeartbeat) -> Result<Heartbeat> {
    let place = raw.name.referenced;
    let to = match (&raw.url, raw.alertmanager) {
        (Some(url), None) => BeatTo::Url {
            url: typed(context, url)?,
            post: matches!(raw.method, Some(RawMethod::Post)),
            headers: headers(context, raw.headers.as_ref())?,
            timeout: timeout(context, raw.timeout.as_ref(), netfault_alerts::TIMEOUT)?,
        },
        (None, Some(to)) => BeatTo::Alertmanager(alertmanager(context, to)?),
        _ => return context.wrong(place, "a heartbeat needs one of url and alertmanager"),
    };
    let heartbeat = Heartbeat {
        name: name(context, &raw.name)?,
        every: context.read_or(raw.every.as_ref(), BEAT, |text| match values::duration(text)? {
            every if every < Duration::from_secs(1) => {
                Err(format!("'{text}' is too short: give at least 1s"))
            }
            every => Ok(every),
        })?,
        to,
    };
    heartbeat
        .resolved()
        .or_else(|message| context.wrong(place, message))?;
    Ok(heartbeat)
}

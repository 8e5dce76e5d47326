//! Meant → typed, with every default written out.

use std::collections::BTreeMap;

use netfault_alerts::matcher::Key;
use netfault_alerts::receivers::Tls;
use netfault_alerts::{Maintenance, Matcher, Route};
use serde_saphyr::{Location, Spanned};

use super::super::SecretRef;
use super::super::raw::{Text, text};
use super::super::secrets::{From, escape};
use super::super::values::show_duration;
use super::raw::*;
use super::*;

pub(in super::super) fn to_raw(alerts: &Alerts) -> RawAlerts {
    RawAlerts {
        outbox: shown(&alerts.outbox.display().to_string()),
        link: alerts.link.as_deref().and_then(shown),
        receivers: Some(alerts.receivers.iter().map(receiver).collect()),
        routes: Some(alerts.routes.iter().map(route).collect()),
        maintenance: Some(alerts.maintenance.iter().map(maintenance).collect()),
        heartbeats: Some(alerts.heartbeats.iter().map(heartbeat).collect()),
    }
}

fn shown(value: &str) -> Option<Text> {
    Some(text(escape(value)))
}

fn time(value: std::time::Duration) -> Option<Text> {
    Some(text(show_duration(value)))
}

/// For a key and its `*_file` twin.
fn secret(secret: Option<&SecretRef>) -> (Option<Text>, Option<Text>) {
    match secret {
        None => (None, None),
        Some(secret) => match &secret.from {
            From::File(file) => (None, shown(&file.display().to_string())),
            From::Env(_) | From::Inline => (Some(text(secret.shown())), None),
        },
    }
}

/// Who types a URL without ${ENV} does not hide it.
fn url(url: &SecretRef) -> Text {
    match url.from == From::Inline {
        true => text(escape(url.reveal())),
        false => text(url.shown()),
    }
}

fn headers(headers: &SecretHeaders) -> Option<BTreeMap<String, Text>> {
    let one = |(name, value): (&String, &SecretRef)| (name.clone(), text(value.shown()));
    Some(headers.iter().map(one).collect())
}

fn receiver(receiver: &Receiver) -> RawReceiver {
    let template = &receiver.template;
    let verbatim = |source: Option<&str>| source.map(text);
    let has_template = template.title().is_some() || template.body().is_some();
    let mut raw = RawReceiver {
        name: text(receiver.name.clone()),
        rate: receiver.rate.map(|rate| text(rate.to_string())),
        template: has_template.then(|| RawTemplate {
            title: verbatim(template.title()),
            body: verbatim(template.body()),
        }),
        stdout: None,
        webhook: None,
        slack: None,
        pagerduty: None,
        alertmanager: None,
        email: None,
        ntfy: None,
        command: None,
    };
    put(&mut raw, &receiver.to);
    raw
}

fn put(raw: &mut RawReceiver, to: &To) {
    match to {
        To::Stdout => raw.stdout = Some(RawStdout {}),
        To::Webhook {
            url: to,
            secret: signs,
            timeout,
            headers: all,
        } => {
            let (secret, secret_file) = secret(signs.as_ref());
            raw.webhook = Some(RawWebhook {
                url: url(to),
                secret,
                secret_file,
                timeout: time(*timeout),
                headers: headers(all),
            });
        }
        To::SlackWebhook { .. } | To::SlackBot { .. } => raw.slack = Some(slack(to)),
        To::PagerDuty {
            routing_key,
            url,
            timeout,
        } => {
            let (routing_key, routing_key_file) = secret(Some(routing_key));
            raw.pagerduty = Some(RawPagerDuty {
                routing_key,
                routing_key_file,
                url: shown(url),
                timeout: time(*timeout),
            });
        }
        To::Alertmanager(to) => raw.alertmanager = Some(alertmanager(to)),
        To::Email { .. } => raw.email = email(to),
        To::Ntfy {
            url,
            topic,
            token,
            headers: all,
            timeout,
        } => {
            let (token, token_file) = secret(token.as_ref());
            raw.ntfy = Some(RawNtfy {
                url: shown(url),
                topic: text(topic.clone()),
                token,
                token_file,
                headers: headers(all),
                timeout: time(*timeout),
            });
        }
        To::Command { run, timeout } => raw.command = Some(command(run, *timeout)),
    }
}

fn command(run: &Run, timeout: std::time::Duration) -> RawCommand {
    let mut raw = RawCommand {
        timeout: time(timeout),
        ..RawCommand::default()
    };
    match run {
        Run::Program(argv) => raw.run = Some(argv.iter().map(|part| text(escape(part))).collect()),
        Run::Shell(line) => raw.shell = Some(text(line.clone())),
    }
    raw
}

fn slack(to: &To) -> RawSlack {
    let mut raw = RawSlack::default();
    match to {
        To::SlackWebhook { url: to, timeout } => {
            match to.from {
                From::File(_) => raw.url_file = secret(Some(to)).1,
                _ => raw.url = Some(url(to)),
            }
            raw.timeout = time(*timeout);
        }
        To::SlackBot {
            token,
            channel,
            api,
            timeout,
        } => {
            (raw.token, raw.token_file) = secret(Some(token));
            raw.channel = shown(channel);
            raw.api = shown(api);
            raw.timeout = time(*timeout);
        }
        _ => {}
    }
    raw
}

fn alertmanager(to: &AlertmanagerTo) -> RawAlertmanager {
    let label = |(name, value): (&String, &String)| (name.clone(), text(escape(value)));
    RawAlertmanager {
        url: text(escape(&to.url)),
        labels: Some(to.labels.iter().map(label).collect()),
        headers: headers(&to.headers),
        timeout: time(to.timeout),
        refresh: time(to.refresh),
    }
}

fn email(to: &To) -> Option<RawEmail> {
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
    } = to
    else {
        return None;
    };
    let (password, password_file) = secret(password.as_ref());
    Some(RawEmail {
        host: text(escape(host)),
        port: Some(Spanned::new(*port, Location::UNKNOWN, Location::UNKNOWN)),
        tls: Some(match tls {
            Tls::Starttls => RawTls::Starttls,
            Tls::Tls => RawTls::Tls,
            Tls::None => RawTls::None,
        }),
        user: user.as_deref().and_then(shown),
        password,
        password_file,
        ca_file: ca_file
            .as_ref()
            .and_then(|(path, _)| shown(&path.display().to_string())),
        from: text(escape(from)),
        to: to.iter().map(|to| text(escape(to))).collect(),
        timeout: time(*timeout),
    })
}

fn route(route: &Route) -> Spanned<RawRoute> {
    let raw = RawRoute {
        name: Some(text(route.name.clone())),
        matches: Some(matches(&route.matcher)),
        receivers: route.receivers.iter().map(|name| text(name.clone())).collect(),
        group_by: Some(route.group_by.iter().map(|by| text(by.name())).collect()),
        wait: time(route.wait),
        repeat: route.repeat.and_then(time),
        updates: route.updates,
        goes_on: Some(route.goes_on),
    };
    Spanned::new(raw, Location::UNKNOWN, Location::UNKNOWN)
}

fn matches(matcher: &Matcher) -> RawMatch {
    let list = |key| {
        let values: Vec<Text> = matcher.values(key).map(|value| text(escape(value))).collect();
        (!values.is_empty()).then_some(values)
    };
    let single = |key| matcher.values(key).next().and_then(shown);
    RawMatch {
        severity: single(Key::Severity),
        about: single(Key::About),
        service: list(Key::Service),
        subject: list(Key::Subject),
        name: list(Key::Name),
        prefix: list(Key::Prefix),
        asn: list(Key::Asn),
        cause: list(Key::Cause),
        finding: list(Key::Finding),
    }
}

fn maintenance(window: &Maintenance) -> RawMaintenance {
    RawMaintenance {
        name: text(window.name.clone()),
        when: window.when.iter().map(|when| text(when.to_string())).collect(),
        matches: Some(matches(&window.matcher)),
    }
}

fn heartbeat(heartbeat: &Heartbeat) -> RawHeartbeat {
    let mut raw = RawHeartbeat {
        name: text(heartbeat.name.clone()),
        every: time(heartbeat.every),
        url: None,
        method: None,
        headers: None,
        timeout: None,
        alertmanager: None,
    };
    match &heartbeat.to {
        BeatTo::Url {
            url: to,
            post,
            headers: all,
            timeout,
        } => {
            raw.url = Some(url(to));
            raw.method = Some(if *post { RawMethod::Post } else { RawMethod::Get });
            raw.headers = headers(all);
            raw.timeout = time(*timeout);
        }
        BeatTo::Alertmanager(to) => raw.alertmanager = Some(alertmanager(to)),
    }
    raw
}

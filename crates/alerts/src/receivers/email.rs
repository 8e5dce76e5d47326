//! Mail over SMTP: plain text and a little HTML. All mails about one alert are one thread (RFC 5322 §3.6.4).

use std::time::Duration;

use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls as SmtpTls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message as Mail, Tokio1Executor};

use crate::failure::Failure;
use crate::http::causes;
use crate::message::Message;
use crate::notice::{NoticeState, clip, second};
use crate::receivers::{Secret, severity_word};

/// How the connection is kept private.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tls {
    /// In the clear first, then STARTTLS, which must succeed (RFC 3207).
    #[default]
    Starttls,
    /// From the first byte (RFC 8314).
    Tls,
    /// Never: for a server on this host.
    None,
}

/// The server that takes the mails.
#[derive(Clone, Debug, PartialEq)]
pub struct Smtp {
    pub host: String,
    pub port: u16,
    pub tls: Tls,
    pub login: Option<(String, Secret)>,
    /// PEM of a certificate authority of one's own.
    pub ca: Option<Vec<u8>>,
    pub timeout: Duration,
}

#[derive(Clone, Debug)]
pub struct Email {
    smtp: Smtp,
    from: Mailbox,
    to: Vec<Mailbox>,
    transport: AsyncSmtpTransport<Tokio1Executor>,
}

impl PartialEq for Email {
    fn eq(&self, other: &Self) -> bool {
        (&self.smtp, &self.from, &self.to) == (&other.smtp, &other.from, &other.to)
    }
}

/// RFC 5322 §2.1.1 wants lines under 998 characters; people read the first 60.
const SUBJECT: usize = 200;

impl Email {
    pub fn new(smtp: Smtp, from: &str, to: &[String]) -> Result<Self, String> {
        if to.is_empty() {
            return Err("a mail needs somebody to go to".to_owned());
        }
        let mailbox = |text: &str| {
            text.parse::<Mailbox>()
                .map_err(|error| format!("'{text}' is not a mail address: {error}"))
        };
        let to = to.iter().map(|text| mailbox(text)).collect::<Result<_, _>>()?;
        let from = mailbox(from)?;
        let transport = transport(&smtp)?;
        Ok(Email {
            smtp,
            from,
            to,
            transport,
        })
    }

    pub(super) async fn deliver(&self, message: &Message) -> Result<(), Failure> {
        let mail = self.mail(message)?;
        match tokio::time::timeout(self.smtp.timeout, self.transport.send(mail)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(Failure::Smtp {
                message: causes(&error),
                permanent: error.status().filter(|_| error.is_permanent()).map(u16::from),
            }),
            Err(_) => Err(Failure::Timeout(self.smtp.timeout)),
        }
    }

    fn mail(&self, message: &Message) -> Result<Mail, Failure> {
        let first = self.message_id(&format!("{}-open", message.notice.id));
        let subject = format!("[netfault] {}", message.headline());
        let mut builder = Mail::builder()
            .from(self.from.clone())
            .subject(clip(&subject, SUBJECT))
            .message_id(Some(self.message_id(&message.event_id())));
        for to in &self.to {
            builder = builder.to(to.clone());
        }
        if message.notice.state != NoticeState::Open {
            builder = builder.in_reply_to(first.clone()).references(first);
        }
        builder
            .multipart(MultiPart::alternative_plain_html(plain(message), html(message)))
            .map_err(|error| Failure::Request(error.to_string()))
    }

    /// The same in every attempt, so that a mail that arrives twice is known for one.
    fn message_id(&self, event: &str) -> String {
        let name: String = event
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'))
            .collect();
        format!("<{name}.netfault@{}>", self.from.email.domain())
    }
}

fn transport(smtp: &Smtp) -> Result<AsyncSmtpTransport<Tokio1Executor>, String> {
    let mut parameters = TlsParameters::builder(smtp.host.clone());
    if let Some(pem) = &smtp.ca {
        let certificate =
            Certificate::from_pem(pem).map_err(|error| format!("the CA file: {}", causes(&error)))?;
        parameters = parameters.add_root_certificate(certificate);
    }
    let parameters = || parameters.build_rustls().map_err(|error| causes(&error));
    let tls = match smtp.tls {
        Tls::Starttls => SmtpTls::Required(parameters()?),
        Tls::Tls => SmtpTls::Wrapper(parameters()?),
        Tls::None => SmtpTls::None,
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(smtp.host.clone())
        .port(smtp.port)
        .tls(tls)
        .timeout(Some(smtp.timeout));
    if let Some((user, password)) = &smtp.login {
        builder = builder.credentials(Credentials::new(user.clone(), password.reveal().to_owned()));
    }
    Ok(builder.build())
}

/// Name and value of what is known besides.
fn facts(message: &Message) -> Vec<(&'static str, String)> {
    let notice = &message.notice;
    let all = [
        ("Subject", message.subject()),
        (
            "Severity",
            format!("{} ({})", notice.severity, severity_word(notice.severity)),
        ),
        ("Since", second(notice.started_at)),
        ("Decided", second(notice.at)),
        ("Cause", notice.cause().unwrap_or_default().replace('_', " ")),
        ("Services", notice.services.join(", ")),
        ("Id", notice.id.clone()),
        ("More", message.link.clone().unwrap_or_default()),
    ];
    all.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

fn plain(message: &Message) -> String {
    let mut text = format!("{}\n\n", message.headline());
    if !message.body.is_empty() {
        text.push_str(&format!("{}\n\n", message.body));
    }
    for (name, value) in facts(message) {
        text.push_str(&format!("{:<10}{value}\n", format!("{name}:")));
    }
    text
}

fn html(message: &Message) -> String {
    let colour = match message.notice.state {
        NoticeState::Resolved => "#1a7f37",
        _ if message.notice.severity >= 4 => "#b42318",
        _ => "#9a6700",
    };
    let rows: String = facts(message)
        .into_iter()
        .map(|(name, value)| format!("<tr><td>{name}</td><td>{}</td></tr>", escape(&value)))
        .collect();
    let body = escape(&message.body).replace('\n', "<br>");
    format!(
        "<!DOCTYPE html><html><body style=\"font-family:sans-serif\">\
         <h2 style=\"color:{colour}\">{}</h2><p>{body}</p><table cellpadding=\"4\">{rows}</table></body></html>",
        escape(&message.headline())
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use crate::template::Template;

    fn email() -> Email {
        let smtp = Smtp {
            host: "mail.example.com".into(),
            port: 25,
            tls: Tls::None,
            login: None,
            ca: None,
            timeout: Duration::from_secs(1),
        };
        Email::new(
            smtp,
            "netfault <netfault@example.com>",
            &["noc@example.com".into()],
        )
        .unwrap()
    }

    #[test]
    fn the_end_is_a_reply_to_the_beginning() {
        let mail = |n: usize| {
            let message = Message::new(samples::notices().remove(n), &Template::default());
            String::from_utf8(email().mail(&message).unwrap().formatted()).unwrap()
        };
        let (open, end) = (mail(0), mail(4));
        let id = open
            .lines()
            .find_map(|line| line.strip_prefix("Message-ID: "))
            .unwrap();
        assert!(end.contains(&format!("In-Reply-To: {id}")), "{end}");
        assert!(
            open.contains("multipart/alternative")
                && open.contains("Subject: [netfault] www.example.com is out.")
        );
        assert!(end.contains("RESOLVED: www.example.com is out."));
    }

    #[test]
    fn what_comes_from_outside_is_no_html() {
        let mut notice = samples::notices().remove(0);
        notice.title = "<script>\"&".into();
        let shown = html(&Message::new(notice, &Template::default()));
        assert!(shown.contains("&lt;script&gt;&quot;&amp;"), "{shown}");
    }

    #[test]
    fn an_address_that_is_none_is_refused() {
        let smtp = email().smtp;
        assert!(Email::new(smtp.clone(), "nobody", &["a@b.example".into()]).is_err());
        assert!(Email::new(smtp, "a@b.example", &[]).is_err());
    }
}

//! The `alerts` section as it is typed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_saphyr::Spanned;

use super::super::raw::Text;

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(in super::super) struct RawAlerts {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outbox: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receivers: Option<Vec<RawReceiver>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routes: Option<Vec<Spanned<RawRoute>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<Vec<RawMaintenance>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeats: Option<Vec<RawHeartbeat>>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct RawReceiver {
    pub name: Text,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<RawTemplate>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout: Option<RawStdout>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<RawWebhook>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slack: Option<RawSlack>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pagerduty: Option<RawPagerDuty>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alertmanager: Option<RawAlertmanager>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<RawEmail>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ntfy: Option<RawNtfy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<RawCommand>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(in super::super) struct RawTemplate {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Text>,
}

/// Has no settings. A map all the same, so that it can have some one day.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(in super::super) struct RawStdout {}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct RawWebhook {
    pub url: Text,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<BTreeMap<String, Text>>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(in super::super) struct RawSlack {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_file: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Text>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(in super::super) struct RawPagerDuty {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routing_key: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routing_key_file: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Text>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct RawAlertmanager {
    pub url: Text,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, Text>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<BTreeMap<String, Text>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh: Option<Text>,
}

/// How the connection to a mail server is kept private.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(in super::super) enum RawTls {
    Starttls,
    Tls,
    None,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct RawEmail {
    pub host: Text,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<Spanned<u16>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<RawTls>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<Text>,
    pub from: Text,
    pub to: Vec<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Text>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct RawNtfy {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Text>,
    pub topic: Text,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_file: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<BTreeMap<String, Text>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Text>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(in super::super) struct RawCommand {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<Vec<Text>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shell: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Text>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct RawRoute {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub matches: Option<RawMatch>,
    pub receivers: Vec<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_by: Option<Vec<Text>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updates: Option<bool>,
    #[serde(default, rename = "continue", skip_serializing_if = "Option::is_none")]
    pub goes_on: Option<bool>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(in super::super) struct RawMatch {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<Vec<Text>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Vec<Text>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Vec<Text>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<Vec<Text>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asn: Option<Vec<Text>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Vec<Text>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finding: Option<Vec<Text>>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct RawMaintenance {
    pub name: Text,
    pub when: Vec<Text>,
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub matches: Option<RawMatch>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(in super::super) enum RawMethod {
    Get,
    Post,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct RawHeartbeat {
    pub name: Text,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<RawMethod>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<BTreeMap<String, Text>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alertmanager: Option<RawAlertmanager>,
}

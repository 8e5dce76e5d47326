//! What the vendors document, as JSON schemas. Unknown keys are refused, so that a typo is found.

use serde_json::{Value, json};

/// https://docs.slack.dev/reference/block-kit/blocks and …/messaging/sending-messages-using-incoming-webhooks
pub fn slack() -> Value {
    let mrkdwn = |max: u32| {
        json!({
            "type": "object", "additionalProperties": false, "required": ["type", "text"],
            "properties": {"type": {"const": "mrkdwn"}, "text": {"type": "string", "minLength": 1, "maxLength": max}}
        })
    };
    json!({
        "type": "object", "additionalProperties": false, "required": ["text", "blocks"],
        "properties": {
            "text": {"type": "string", "minLength": 1, "maxLength": 4000},
            "channel": {"type": "string"},
            "thread_ts": {"type": "string", "pattern": "^[0-9]+\\.[0-9]+$"},
            "reply_broadcast": {"type": "boolean"},
            "blocks": {"type": "array", "minItems": 1, "maxItems": 50, "items": {"oneOf": [
                {
                    "type": "object", "additionalProperties": false, "required": ["type", "text"],
                    "properties": {"type": {"const": "header"}, "text": {
                        "type": "object", "additionalProperties": false, "required": ["type", "text"],
                        "properties": {
                            "type": {"const": "plain_text"}, "emoji": {"type": "boolean"},
                            "text": {"type": "string", "minLength": 1, "maxLength": 150}
                        }
                    }}
                },
                {
                    "type": "object", "additionalProperties": false, "required": ["type"],
                    "anyOf": [{"required": ["text"]}, {"required": ["fields"]}],
                    "properties": {
                        "type": {"const": "section"}, "text": mrkdwn(3000),
                        "fields": {"type": "array", "minItems": 1, "maxItems": 10, "items": mrkdwn(2000)}
                    }
                },
                {
                    "type": "object", "additionalProperties": false, "required": ["type", "elements"],
                    "properties": {
                        "type": {"const": "context"},
                        "elements": {"type": "array", "minItems": 1, "maxItems": 10, "items": mrkdwn(2000)}
                    }
                }
            ]}}
        }
    })
}

/// https://developer.pagerduty.com/api-reference: Events API v2, "Send an event to PagerDuty"
pub fn pagerduty() -> Value {
    let common = json!({
        "routing_key": {"type": "string", "minLength": 32, "maxLength": 32},
        "event_action": {"enum": ["trigger", "acknowledge", "resolve"]},
        "dedup_key": {"type": "string", "minLength": 1, "maxLength": 255},
        "client": {"type": "string"},
        "client_url": {"type": "string", "format": "uri"},
        "links": {"type": "array", "items": {
            "type": "object", "additionalProperties": false, "required": ["href"],
            "properties": {"href": {"type": "string"}, "text": {"type": "string"}}
        }},
        "payload": {
            "type": "object", "additionalProperties": false, "required": ["summary", "source", "severity"],
            "properties": {
                "summary": {"type": "string", "minLength": 1, "maxLength": 1024},
                "source": {"type": "string", "minLength": 1},
                "severity": {"enum": ["critical", "error", "warning", "info"]},
                "timestamp": {"type": "string", "pattern": "^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d"},
                "component": {"type": "string"}, "group": {"type": "string"}, "class": {"type": "string"},
                "custom_details": {"type": "object"}
            }
        }
    });
    json!({
        "type": "object", "additionalProperties": false, "required": ["routing_key", "event_action", "dedup_key"],
        "properties": common,
        "if": {"properties": {"event_action": {"const": "trigger"}}},
        "then": {"required": ["payload"]}
    })
}

/// https://docs.ntfy.sh/publish/#publish-as-json
pub fn ntfy() -> Value {
    json!({
        "type": "object", "additionalProperties": false, "required": ["topic"],
        "properties": {
            "topic": {"type": "string", "pattern": "^[-_A-Za-z0-9]{1,64}$"},
            "message": {"type": "string", "minLength": 1, "maxLength": 4096},
            "title": {"type": "string", "minLength": 1, "maxLength": 250},
            "tags": {"type": "array", "items": {"type": "string", "minLength": 1}},
            "priority": {"type": "integer", "minimum": 1, "maximum": 5},
            "click": {"type": "string", "format": "uri"},
            "markdown": {"type": "boolean"}
        }
    })
}

/// `postableAlerts` of api/v2/openapi.yaml of Alertmanager.
pub fn alertmanager() -> Value {
    let labels = json!({
        "type": "object", "propertyNames": {"pattern": "^[a-zA-Z_][a-zA-Z0-9_]*$"},
        "additionalProperties": {"type": "string"}
    });
    json!({"type": "array", "minItems": 1, "items": {
        "type": "object", "additionalProperties": false, "required": ["labels"],
        "properties": {
            "labels": labels, "annotations": labels,
            "startsAt": {"type": "string"}, "endsAt": {"type": "string"},
            "generatorURL": {"type": "string", "format": "uri"}
        }
    }})
}

/// https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/cloudevents.json, and our own attributes.
pub fn cloudevents() -> Value {
    json!({
        "type": "object", "additionalProperties": false, "required": ["id", "source", "specversion", "type"],
        "properties": {
            "id": {"type": "string", "minLength": 1},
            "source": {"type": "string", "format": "uri-reference", "minLength": 1},
            "specversion": {"const": "1.0"},
            "type": {"type": "string", "pattern": "^netfault\\.alert\\.(open|update|repeat|acknowledged|resolved)$"},
            "datacontenttype": {"const": "application/json"},
            "subject": {"type": "string", "minLength": 1},
            "time": {"type": "string", "pattern": "^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d"},
            "data": {"type": "object", "required": ["id", "state", "severity", "title", "text"]}
        }
    })
}

pub fn fits(schema: &Value, body: &Value) -> Result<(), String> {
    let validator = jsonschema::validator_for(schema).expect("a schema");
    let errors: Vec<String> = validator
        .iter_errors(body)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    match errors.is_empty() {
        true => Ok(()),
        false => Err(errors.join("; ")),
    }
}

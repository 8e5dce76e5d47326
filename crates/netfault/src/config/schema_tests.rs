//! `schemas/config.schema.json` is written by hand; these tests keep it to the keys that are read.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::raw;

fn schema() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/config.schema.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The keys that may stand at `path`, asked of the reader itself: it names them when it refuses another one.
fn keys_read(path: &[String]) -> BTreeSet<String> {
    let mut yaml = "{__nope: 1}".to_owned();
    for key in path.iter().rev() {
        yaml = if key == "[]" {
            format!("[{yaml}]")
        } else if key == "*" {
            format!("{{any: {yaml}}}")
        } else {
            format!("{{{key}: {yaml}}}")
        };
    }
    match serde_saphyr::from_str::<raw::RawConfig>(&yaml)
        .as_ref()
        .map_err(serde_saphyr::Error::without_snippet)
    {
        Err(serde_saphyr::Error::SerdeUnknownField { expected, .. }) => {
            expected.iter().map(|key| (*key).to_owned()).collect()
        }
        // serde has no list to show for a struct without fields.
        Err(_) => BTreeSet::new(),
        Ok(_) => panic!("{yaml} is accepted"),
    }
}

/// Every object of the schema with its path; `[]` is an item of a list, `*` a value of a map with free keys.
fn objects<'a>(schema: &'a Value, path: &mut Vec<String>, found: &mut Vec<(Vec<String>, &'a Value)>) {
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        found.push((path.clone(), schema));
        for (key, inner) in properties {
            path.push(key.clone());
            objects(inner, path, found);
            path.pop();
        }
    }
    for inner in schema
        .get("oneOf")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        objects(inner, path, found);
    }
    if let Some(values) = schema.get("additionalProperties").filter(|it| it.is_object()) {
        path.push("*".to_owned());
        objects(values, path, found);
        path.pop();
    }
    if let Some(items) = schema.get("items") {
        path.push("[]".to_owned());
        objects(items, path, found);
        path.pop();
    }
}

#[test]
fn the_schema_has_exactly_the_keys_that_are_read() {
    let schema = schema();
    let mut found = Vec::new();
    objects(&schema, &mut Vec::new(), &mut found);
    assert!(found.len() >= 14, "only {} objects were found", found.len());
    for (path, object) in found {
        let there: BTreeSet<String> = object["properties"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        assert_eq!(there, keys_read(&path), "at {path:?}");
        // A map with free keys (HTTP headers) says what its values are; every other one is closed.
        assert_eq!(object["additionalProperties"], Value::Bool(false), "at {path:?}");
        for key in there {
            let inner = &object["properties"][&key];
            assert!(
                inner.get("description").is_some(),
                "{path:?}.{key} is not described"
            );
        }
    }
}

#[test]
fn the_template_and_the_examples_are_valid() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut texts = vec![super::TEMPLATE.to_owned(), "watch: all".to_owned()];
    for entry in std::fs::read_dir(examples).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            texts.push(std::fs::read_to_string(path).unwrap());
        }
    }
    for text in texts {
        let value: Value = serde_saphyr::from_str(&text).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(&value)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{errors:?}\n{text}");
    }
}

#[test]
fn the_schema_refuses_what_the_reader_refuses() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    for yaml in [
        "wach: all",
        "dns: {interval: 30}",
        "store: {updates: some}",
        "detect: {min_peers: many}",
        "services: {Shop: {nams: [x.example]}}",
        "services: {Shop: {urls: https://x.example/}}",
        "hints: {interval: 60}",
    ] {
        let value: Value = serde_saphyr::from_str(yaml).unwrap();
        assert!(!validator.is_valid(&value), "{yaml}");
    }
}

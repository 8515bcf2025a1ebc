//! The JSON Schema of the records, made from their types: `docs/schema.json`.
//!
//! It describes what this version writes. Objects are open, because later versions may add fields; a field that was added
//! to schema 1 after its beginning is not required, so that an older log is as valid as a new one.

use schemars::{
    Schema,
    generate::SchemaSettings,
    transform::{Transform, transform_subschemas},
};
use serde_json::{Value, json};

use portwatch_core::model::record::{Record, SCHEMA};

/// The schema of one line of a log.
#[must_use]
pub fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12()
        .for_serialize()
        .with_transform(Open)
        .with_transform(PlainText);
    let mut schema = settings.into_generator().into_root_schema_for::<Record>();
    schema.insert("title".to_owned(), "A record of portwatch".into());
    let about = format!("One line of a log, schema {SCHEMA}; docs/records.md explains it.");
    schema.insert("description".to_owned(), about.into());
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        let version = json!({
            "description": "Version of the records. A change that breaks a reader raises it.",
            "const": SCHEMA,
        });
        properties.insert("schema".to_owned(), version);
    }
    if let Some(Value::Array(required)) = schema.get_mut("required") {
        required.insert(0, "schema".into());
        required.insert(1, "type".into());
    }
    schema.to_value()
}

/// The schema as the file in `docs/` has it, with its last newline.
#[must_use]
pub fn text() -> String {
    format!("{:#}\n", schema())
}

/// What has a default was added later: older logs do not have it. And what may come later is allowed.
#[derive(Clone, Debug)]
struct Open;

impl Transform for Open {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let has_default = |name: &Value, properties: &Value| {
            name.as_str()
                .and_then(|name| properties.get(name)?.get("default"))
                .is_some()
        };
        let properties = schema.get("properties").cloned().unwrap_or_default();
        if let Some(Value::Array(required)) = schema.get_mut("required") {
            required.retain(|name| !has_default(name, &properties));
        }
        if schema.get("additionalProperties") == Some(&Value::Bool(false)) {
            schema.remove("additionalProperties");
        }
    }
}

/// Descriptions are the comments of the types, in which other items of the source are linked.
#[derive(Clone, Debug)]
struct PlainText;

impl Transform for PlainText {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        if let Some(Value::String(text)) = schema.get_mut("description") {
            *text = without_links(text)
                .replace('\n', " ")
                .replace("`None`", "`null`");
        }
    }
}

/// ``[`KeeperHow::IoUring`]`` becomes `` `io_uring` ``, as JSON spells it.
fn without_links(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, link)) = rest.split_once("[`") {
        let Some((item, after)) = link.split_once("`]") else {
            break;
        };
        let name = item.rsplit("::").next().unwrap_or(item);
        plain.push_str(before);
        plain.push('`');
        for (position, c) in name.chars().enumerate() {
            if c.is_uppercase() && position > 0 {
                plain.push('_');
            }
            plain.extend(c.to_lowercase());
        }
        plain.push('`');
        rest = after;
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests;

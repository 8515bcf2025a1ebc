//! Numbers that JSON readers would round.

use crate::prelude::*;
use alloc::borrow::Cow;
use core::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An unsigned 64-bit number, written as a decimal string in JSON: many readers (jq among them) keep 53 bits only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Big(pub u64);

impl fmt::Display for Big {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<u64> for Big {
    fn from(value: u64) -> Self {
        Self(value)
    }
}

impl Serialize for Big {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Big {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse()
            .map(Self)
            .map_err(|_| de::Error::custom(format!("not a 64-bit decimal number: {text:?}")))
    }
}

impl JsonSchema for Big {
    fn schema_name() -> Cow<'static, str> {
        "Big".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An unsigned 64-bit number in decimal digits: as a JSON number, many readers would round it.",
            "type": "string",
            "pattern": "^[0-9]{1,20}$",
        })
    }
}

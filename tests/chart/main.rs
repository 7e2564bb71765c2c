//! The chart as Helm renders it: values, schema, rights, objects; and the pages that speak of them.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod helm;

mod objects;
mod values;

mod schema;
mod subchart;

mod rights;

mod alerts;
mod artifact;
mod notes;

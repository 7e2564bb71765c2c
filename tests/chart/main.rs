//! The chart as Helm renders it: values, schema, rights, objects; and the pages that speak of them.

mod helm;

mod objects;
mod values;

mod schema;
mod subchart;

mod rights;

mod alerts;
mod artifact;
mod notes;

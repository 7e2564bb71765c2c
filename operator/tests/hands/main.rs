//! The operator's hands against an API server in memory: which requests are made, which are not, and what stands at the
//! end.

mod support;

mod at_rest;
mod first_run;
mod ownership;
mod program;
mod trouble;

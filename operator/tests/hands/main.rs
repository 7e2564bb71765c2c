//! The operator's hands against an API server in memory: which requests are made, which are not, and what stands at the
//! end.

mod support;

mod first_run;
mod at_rest;
mod ownership;
mod trouble;
mod program;

//! The product on a cluster: the operator that is installed there, its rooms, and real sockets to their pods.
//!
//! Runs only with `CHATROOM_E2E=1`, against the cluster of `KUBECONFIG`, from a place where the cluster's addresses can be
//! reached. Each test has a namespace of its own, under the restricted Pod Security Standard, and removes it; one that fails
//! first tells what one would have looked up. They run at the same time: what disturbs the operator or the cluster itself is
//! in `tests/lifecycle`.

mod asked;
mod chatting;
mod functions;
mod life;
mod push;
mod rollout;

mod redis;
mod refusals;
mod repair;
mod trouble;

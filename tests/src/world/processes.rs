//! The processes of containers, where the test stands in the node's process namespace: what kills a container and not its pod.

use std::path::PathBuf;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use nix::sys::signal::Signal;

use crate::{process, skipped};

/// The node's processes can be seen and killed.
pub struct Processes(());

impl Processes {
    /// `None`, and says so, where the node is another machine, or a container of this one.
    #[must_use]
    pub fn are_here_for(test: &str) -> Option<Self> {
        // In a process namespace with the /proc of another one, an id would mean another process.
        let own_id = PathBuf::from(std::process::id().to_string());
        let myself = std::fs::read_link("/proc/self").is_ok_and(|id| id == own_id);
        let kubelet = all().any(|pid| runs(pid, "kubelet"));
        if !(myself && kubelet) {
            skipped::say(test, "the processes of this cluster's node are out of reach");
            return None;
        }
        Some(Self(()))
    }

    /// Kills the process `program` of a pod, as a crash would; `false`: there is none.
    #[must_use]
    pub fn kill(&self, pod: &Pod, program: &str) -> bool {
        let uid = pod.uid().unwrap_or_default();
        let its_own = |pid: &u32| {
            let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
            groups.contains(&format!("pod{uid}")) && runs(*pid, program)
        };
        let found = all().find(its_own);
        found.into_iter().for_each(|pid| process::send(pid, Signal::SIGKILL));
        found.is_some()
    }

    /// Kills a component of the cluster that is one of the node's processes; `false`: there is none.
    #[must_use]
    pub fn kill_component(&self, name: &str) -> bool {
        let found = all().find(|pid| runs(*pid, name));
        found.into_iter().for_each(|pid| process::send(pid, Signal::SIGKILL));
        found.is_some()
    }
}

fn all() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Whether the process is this program, or a multi-call binary that was told to be it.
fn runs(pid: u32, program: &str) -> bool {
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = command.split(|byte| *byte == 0).take(2).map(String::from_utf8_lossy);
    words.into_iter().any(|word| word.rsplit('/').next() == Some(program))
}

//! Where the operator looks after rooms: in the whole cluster, or in one namespace of a list.

use crate::room::is_dns_label;
use k8s_openapi::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use std::collections::BTreeSet;
use std::fmt;

/// The longest name of a namespace, in characters.
const LONGEST_NAME: usize = 63;

/// A part of the cluster that is watched on its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Every namespace, with one set of watches. Needs rights in the whole cluster.
    Cluster,
    /// One namespace. Every request names it, so that a Role there is all it needs.
    Namespace(String),
}

impl Scope {
    /// The scopes of a list of namespaces: the whole cluster if there are none. Surrounding blanks and empty entries do not
    /// count, and one that is named twice is watched once.
    ///
    /// # Errors
    /// When an entry cannot be the name of a namespace.
    pub fn of_list<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Vec<Self>, String> {
        let names: BTreeSet<_> = names.into_iter().map(str::trim).filter(|name| !name.is_empty()).collect();
        if let Some(wrong) = names.iter().find(|name| name.len() > LONGEST_NAME || !is_dns_label(name)) {
            return Err(format!(
                "{wrong:?} is not the name of a namespace: at most {LONGEST_NAME} lower case letters, digits and '-', with \
                 neither end a '-'; to watch the whole cluster, name none"
            ));
        }
        if names.is_empty() {
            return Ok(vec![Self::Cluster]);
        }
        Ok(names.into_iter().map(|name| Self::Namespace(name.to_owned())).collect())
    }

    /// All objects of a kind in this scope.
    #[must_use]
    pub fn api<K>(&self, client: &Client) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        match self {
            Self::Cluster => Api::all(client.clone()),
            Self::Namespace(name) => Api::namespaced(client.clone(), name),
        }
    }

    /// The namespace, if it is one.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        match self {
            Self::Cluster => None,
            Self::Namespace(name) => Some(name),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster => f.write_str("the whole cluster"),
            Self::Namespace(name) => write!(f, "namespace {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn namespaces(names: &[&str]) -> Vec<Scope> {
        names.iter().map(|name| Scope::Namespace((*name).to_owned())).collect()
    }

    #[test]
    fn no_name_means_the_whole_cluster() {
        for list in [&[][..], &[""], &["", " "]] {
            assert_eq!(Scope::of_list(list.iter().copied()), Ok(vec![Scope::Cluster]), "{list:?}");
        }
    }

    #[test]
    fn each_namespace_is_watched_once() {
        let scopes = Scope::of_list(["team-b", " team-a", "", "team-b"]);
        assert_eq!(scopes, Ok(namespaces(&["team-a", "team-b"])));
    }

    #[test]
    fn what_cannot_be_a_namespace_is_refused_by_name() {
        let long = "a".repeat(64);
        for wrong in ["Team", "team_a", "team.a", "-team", "team-", "*", "tëam", &long] {
            let message = Scope::of_list(["fine", wrong]).unwrap_err();
            assert!(message.contains(wrong), "{message}");
        }
        assert_eq!(Scope::of_list(["a".repeat(63).as_str(), "0", "a-1"]).map(|scopes| scopes.len()), Ok(3));
    }
}

//! A Redis that is not the room's own: what a person would bring.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Secret, Service};
use kube::Api;
use kube::api::ListParams;
use serde_json::json;

use super::{A_ROLLOUT, World};
use crate::wait::until;

impl World {
    /// Starts a Redis with this password, and waits until it is there.
    ///
    /// # Panics
    /// When the API server refuses, or it does not come up.
    pub async fn run_redis(&self, name: &str, password: &str) {
        let arguments =
            ["--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction", "--dir", "/data", "--requirepass"];
        let arguments: Vec<_> = arguments.into_iter().chain([password]).collect();
        self.create::<Deployment>(json!({
            "metadata": {"name": name},
            "spec": {
                "selector": {"matchLabels": {"redis": name}},
                "template": {"metadata": {"labels": {"redis": name}}, "spec": {
                    "automountServiceAccountToken": false,
                    "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
                    "containers": [{
                        "name": "redis", "image": self.redis_image().await, "args": arguments,
                        "readinessProbe": {"tcpSocket": {"port": 6379}, "periodSeconds": 1},
                        "securityContext": {
                            "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                            "capabilities": {"drop": ["ALL"]},
                        },
                        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                    }],
                    "volumes": [{"name": "data", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}}],
                }},
            },
        }))
        .await;
        self.create::<Service>(json!({
            "metadata": {"name": name},
            "spec": {"selector": {"redis": name}, "ports": [{"port": 6379}]},
        }))
        .await;
        until(&format!("the Redis {name} is there"), A_ROLLOUT, async || {
            let deployment = self.api::<Deployment>().get(name).await.map_err(|error| error.to_string())?;
            let available = deployment.status.and_then(|status| status.available_replicas);
            if available == Some(1) { Ok(()) } else { Err(format!("{available:?} of it are available")) }
        })
        .await;
    }

    /// Where pods find such a Redis.
    #[must_use]
    pub fn redis_url(&self, name: &str, password: &str) -> String {
        format!("redis://:{password}@{name}.{}.svc:6379", self.namespace)
    }

    /// Makes a Secret with the URL of a Redis.
    ///
    /// # Panics
    /// When the API server refuses.
    pub async fn create_url_secret(&self, name: &str, url: &str) {
        self.create::<Secret>(json!({"metadata": {"name": name}, "stringData": {"url": url}})).await;
    }

    /// The image that the operator takes for a room's own Redis: it is on the node already.
    async fn redis_image(&self) -> String {
        let all: Api<Deployment> = Api::all(self.client.clone());
        let operators = ListParams::default().labels("app.kubernetes.io/name=chatroom-operator");
        let operators = all.list(&operators).await.expect("Deployments can be listed");
        let pods = operators.items.into_iter().filter_map(|operator| operator.spec?.template.spec);
        let mut variables = pods.flat_map(|pod| pod.containers).flat_map(|container| container.env.unwrap_or_default());
        let image =
            variables.find(|variable| variable.name == "RELATED_IMAGE_REDIS").and_then(|variable| variable.value);
        image.expect("the operator is installed, and told which image a Redis is")
    }
}

//! The commands of the documentation, run one after the other as they stand there, by a shell in an empty folder.
//!
//! Two things differ from what a user does: the chart comes from the checkout, as there is no registry, with the values
//! that let it reach the emulated tenant, and the client id is filled in.

use std::os::unix::fs::symlink;
use std::process::Command;

use serde_json::{Value, json};
use testbed::auth0::TenantHandle;
use testbed::control_plane::binaries::Helm;
use testbed::control_plane::supervise::Scratch;

use super::cluster::{Cluster, RESTRICTED, cluster};
use super::{helm, succeeds, text};
use crate::support::{OPERATOR_NAMESPACE, SCOPES, root};

const INSTALL: &str = "docs/install.md";
const REMOVE: &str = "docs/upgrade-and-uninstall.md";
const CLIENT_ID: &str = "walk";
const CLIENT_SECRET: &str = "marker-client-secret-of-walk";

#[tokio::test]
async fn the_way_of_helm_from_the_first_command_to_the_last() {
    let cluster = cluster().await;
    for version in Helm::ALL {
        succeeds(&cluster.kubectl(&["delete", "crd", "--all", "--timeout=60s"], ""));
        let walk = Walk::new(&cluster, version);
        walk.run(INSTALL, "helm install").await;
        walk.first_object().await;
        walk.run(REMOVE, "helm upgrade").await;
        assert_eq!(walk.blog(), json!({"value": "myblog.wordpress.com"}));
        walk.run(REMOVE, "kubectl delete upstreamparams --all").await;
        assert_eq!(walk.blog(), Value::Null, "the parameter is removed with its object");
        walk.left_nothing().await;
    }
}

#[tokio::test]
async fn the_way_of_plain_kubectl_and_of_leaving_the_parameters() {
    let cluster = cluster().await;
    succeeds(&cluster.kubectl(&["delete", "crd", "--all", "--timeout=60s"], ""));
    succeeds(&cluster.kubectl(&["delete", "namespace", OPERATOR_NAMESPACE, "--timeout=60s"], ""));
    let walk = Walk::new(&cluster, Helm::V3);
    walk.run(INSTALL, "kubectl create namespace").await;
    succeeds(&cluster.kubectl(&["label", "namespace", OPERATOR_NAMESPACE, RESTRICTED], ""));
    walk.first_object().await;
    walk.run(REMOVE, "kubectl get upstreamparams --all-namespaces --no-headers").await;
    walk.shell("kubectl delete -f operator.yaml").await;
    cluster.until_stopped().await;
    assert_eq!(walk.blog(), json!({"value": "myblog.wordpress.com"}), "the parameter stays");
    // The namespace was not part of what was applied.
    walk.left_nothing().await;
}

/// A folder with what a checkout has for users, a shell in it, and a tenant like that of the examples.
struct Walk<'a> {
    cluster: &'a Cluster,
    folder: Scratch,
    auth0: TenantHandle,
}

impl<'a> Walk<'a> {
    fn new(cluster: &'a Cluster, version: Helm) -> Self {
        let folder = Scratch::new("walk").unwrap();
        for name in ["charts", "crds", "examples"] {
            symlink(root().join(name), folder.path().join(name)).unwrap();
        }
        let programs = folder.path().join("bin");
        std::fs::create_dir(&programs).unwrap();
        symlink(helm(version).get_program(), programs.join("helm")).unwrap();
        symlink(&cluster.bench.control_plane.binaries().kubectl, programs.join("kubectl")).unwrap();
        std::fs::write(folder.path().join("values.json"), cluster.values().to_string()).unwrap();

        let auth0 = cluster.bench.emulator.tenant("example.eu.auth0.com");
        auth0.add_client(CLIENT_ID, CLIENT_SECRET, SCOPES);
        if auth0.connection("wordpress").is_null() {
            let options = json!({"client_id": "idp", "client_secret": "marker-idp-secret-of-walk", "scope": ["auth"]});
            auth0.create_connection(&json!({"name": "wordpress", "strategy": "wordpress", "options": options})).unwrap();
        }
        Self { cluster, folder, auth0 }
    }

    fn blog(&self) -> Value {
        self.auth0.connection("wordpress")["options"]["upstream_params"]["blog"].clone()
    }

    /// The tenant and the first object, as after every way to install.
    async fn first_object(&self) {
        self.run(INSTALL, "kubectl create secret").await;
        self.run(INSTALL, "kubectl apply -f examples/namespace.yaml").await;
        assert_eq!(self.blog(), json!({"value": "myblog.wordpress.com"}));
    }

    /// Runs the one block of a document that begins like this.
    async fn run(&self, document: &str, begins: &str) {
        let markdown = std::fs::read_to_string(root().join(document)).unwrap();
        let blocks: Vec<&str> = markdown.split("```sh\n").skip(1).map(|rest| rest.split_once("```").unwrap().0).collect();
        let found: Vec<&&str> = blocks.iter().filter(|block| block.starts_with(begins)).collect();
        let [block] = found.as_slice() else { panic!("{document} has {} blocks that begin with: {begins}", found.len()) };
        self.shell(block).await;
    }

    async fn shell(&self, script: &str) {
        let values = |chart: &str| format!("{chart} --values values.json");
        let script = script
            .replace("oci://ghcr.io/example/charts/upstream-params-operator", &values("charts/upstream-params-operator"))
            .replace(
                "helm template upstream-params-operator charts/upstream-params-operator",
                &values("helm template upstream-params-operator charts/upstream-params-operator"),
            )
            .replace("clientId=...", &format!("clientId={CLIENT_ID}"));
        assert!(!script.contains("..."), "something is left to fill in: {script}");
        let path = self.folder.path().join("bin").display().to_string();
        let mut bash = Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", &script])
            .current_dir(self.folder.path())
            .env("HOME", self.folder.path())
            .env("KUBECONFIG", self.cluster.bench.control_plane.kubeconfig())
            .env("PATH", format!("{path}:{}", std::env::var("PATH").unwrap()));
        // What is typed when a command asks for the client secret.
        let output = self.cluster.meanwhile(bash, format!("{CLIENT_SECRET}\n")).await;
        assert!(output.status.success(), "{script}\n{}\n{}", text(&output.stdout), text(&output.stderr));
    }

    /// Nothing of the operator is in the cluster any more but its namespace, and takes away what the examples made.
    async fn left_nothing(&self) {
        self.cluster.until_stopped().await;
        for kind in ["crd", "clusterrole", "clusterrolebinding", "deployment,service,role,rolebinding,serviceaccount"] {
            let found = self.cluster.kubectl(&["get", kind, "--namespace", OPERATOR_NAMESPACE, "--output=name"], "");
            let left: Vec<String> = succeeds(&found).lines().filter(|name| name.contains("upstream")).map(str::to_owned).collect();
            assert_eq!(left, [""; 0]);
        }
        succeeds(&self.cluster.kubectl(&["delete", "--ignore-not-found", "namespace", "identity", "--timeout=60s"], ""));
        succeeds(
            &self.cluster.kubectl(&["delete", "--ignore-not-found", "secret", "auth0-credentials", "--namespace", OPERATOR_NAMESPACE], ""),
        );
    }
}

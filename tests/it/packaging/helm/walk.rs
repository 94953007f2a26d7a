//! The commands of the documentation, run one after the other as they stand there, by a shell in an empty folder.
//!
//! Two things differ from what a user does: the chart has the values that let it reach the emulated tenant, and the client id is
//! filled in.

use std::os::unix::fs::symlink;
use std::process::{Command, Output};

use auth0_emulator::TenantHandle;
use control_plane::binaries::Helm;
use control_plane::supervise::Scratch;
use serde_json::{Value, json};

use super::cluster::{Cluster, RESTRICTED, cluster};
use super::render::copy_folder;
use super::{RELEASE, chart, helm, succeeds, text};
use test_support::repository::root;
use test_support::{OPERATOR_NAMESPACE, SCOPES, operator_binary};

const INSTALL: &str = "docs/install.md";
const FIRST_DAY: &str = "docs/first-day.md";
const REMOVE: &str = "docs/upgrade-and-uninstall.md";
const CLIENT_ID: &str = "walk";
const CLIENT_SECRET: &str = "marker-client-secret-of-walk";

#[tokio::test]
async fn the_way_of_helm_from_the_first_command_to_the_last() {
    let cluster = cluster().await;
    for version in Helm::ALL {
        cluster.delete_definitions();
        let walk = Walk::new(&cluster, version);
        walk.releases('a');
        walk.run(INSTALL, "helm install").await;
        assert!(walk.image().ends_with(&"a".repeat(64)), "{}", walk.image());
        walk.first_object().await;
        walk.releases('b');
        walk.run(REMOVE, "helm upgrade upstream-params-operator ").await;
        assert!(walk.image().ends_with(&"b".repeat(64)), "the image of the last release: {}", walk.image());
        assert_eq!(walk.blog(), json!({"value": "myblog.wordpress.com"}));
        walk.run(REMOVE, "kubectl delete upstreamparams --all").await;
        assert_eq!(walk.blog(), Value::Null, "the parameter is removed with its object");
        walk.left_nothing().await;
    }
}

#[tokio::test]
async fn the_way_of_plain_kubectl_and_of_leaving_the_parameters() {
    let cluster = cluster().await;
    cluster.delete_definitions();
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

#[tokio::test]
async fn the_notes_of_a_release_can_be_pasted_into_a_shell() {
    let cluster = cluster().await;
    let walk = Walk::new(&cluster, Helm::V4);
    succeeds(&cluster.install(Helm::V4, &chart(), &cluster.values()).await);
    let notes = succeeds(&cluster.helm(Helm::V4, &["get", "notes", RELEASE, "--namespace", OPERATOR_NAMESPACE], &Value::Null).await);
    let paragraphs = notes.split("\n\n").filter(|text| text.starts_with("kubectl"));
    let commands: Vec<&str> = paragraphs.collect();
    assert_eq!(commands.len(), 2, "{notes}");
    let filled_in = commands.join("\n").replace("clientId=REPLACE", &format!("clientId={CLIENT_ID}"));
    walk.shell(&filled_in).await;
    walk.run(REMOVE, "kubectl delete upstreamparams --all").await;
    walk.left_nothing().await;
}

#[tokio::test]
async fn helm_takes_over_what_plain_manifests_made() {
    let cluster = cluster().await;
    for version in Helm::ALL {
        cluster.delete_definitions();
        let walk = Walk::new(&cluster, version);
        // Two ways of install.md, one over the other.
        walk.shell("kubectl apply --server-side -f crds/ && kubectl apply --server-side -f examples/rbac.yaml").await;
        walk.run_changed(INSTALL, "kubectl create namespace", |block| {
            block.replace("kubectl create namespace upstream-params-operator", "true")
        })
        .await;
        walk.first_object().await;
        assert!(!walk.try_shell(&block(INSTALL, "helm install")).await.status.success(), "without being told so Helm takes over nothing");
        let without_force = |block: &str| if version == Helm::V3 { block.replace("--force-conflicts", "") } else { block.to_owned() };
        walk.run_changed(REMOVE, "helm upgrade --install", without_force).await;
        assert_eq!(walk.blog(), json!({"value": "myblog.wordpress.com"}));
        walk.run(REMOVE, "kubectl delete upstreamparams --all").await;
        assert_eq!(walk.blog(), Value::Null);
        walk.left_nothing().await;
    }
}

/// The one block of a document that begins like this.
fn block(document: &str, begins: &str) -> String {
    let markdown = std::fs::read_to_string(root().join(document)).unwrap();
    let blocks: Vec<&str> = markdown.split("```sh\n").skip(1).map(|rest| rest.split_once("```").unwrap().0).collect();
    let found: Vec<&&str> = blocks.iter().filter(|block| block.starts_with(begins)).collect();
    let [block] = found.as_slice() else { panic!("{document} has {} blocks that begin with: {begins}", found.len()) };
    (**block).to_owned()
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
        for name in ["crds", "examples"] {
            symlink(root().join(name), folder.path().join(name)).unwrap();
        }
        copy_folder(&root().join("charts"), &folder.path().join("charts"));
        let programs = folder.path().join("bin");
        std::fs::create_dir(&programs).unwrap();
        symlink(helm(version).get_program(), programs.join("helm")).unwrap();
        symlink(cluster.world.control_plane.binaries().kubectl.as_ref().unwrap(), programs.join("kubectl")).unwrap();
        symlink(operator_binary(), programs.join("upstream-params-operator")).unwrap();
        std::fs::write(folder.path().join("values.json"), cluster.values().to_string()).unwrap();

        let auth0 = cluster.world.emulator.tenant("example.eu.auth0.com");
        auth0.add_client(CLIENT_ID, CLIENT_SECRET, SCOPES);
        // A walk before this one may have left its parameter on purpose.
        auth0.delete_connection("wordpress");
        let walk = Self { cluster, folder, auth0 };
        walk.create_connection();
        walk
    }

    fn create_connection(&self) {
        let options = json!({"client_id": "idp", "client_secret": "marker-idp-secret-of-walk", "scope": ["auth"]});
        self.auth0.create_connection(&json!({"name": "wordpress", "strategy": "wordpress", "options": options})).unwrap();
    }

    fn blog(&self) -> Value {
        self.auth0.connection("wordpress")["options"]["upstream_params"]["blog"].clone()
    }

    /// The tenant and the first object, as after every way to install.
    async fn first_object(&self) {
        self.run(FIRST_DAY, "kubectl create secret").await;
        self.run(FIRST_DAY, "sed ").await;
        self.run(FIRST_DAY, "kubectl wait --for=condition=Ready clusterauth0tenant").await;
        self.run(FIRST_DAY, "upstream-params-operator connections").await;
        self.run(FIRST_DAY, "upstream-params-operator export").await;
        self.first_object_of_no_connection().await;
        self.run(FIRST_DAY, "kubectl apply -f examples/namespace.yaml").await;
        self.run(FIRST_DAY, "generation=").await;
        self.run(FIRST_DAY, "upstream-params-operator status").await;
        assert_eq!(self.blog(), Value::Null, "an operator that observes writes nothing");
        self.run(FIRST_DAY, "kubectl apply -f examples/tenant.yaml").await;
        assert_eq!(self.blog(), json!({"value": "myblog.wordpress.com"}));
    }

    /// The first object of somebody who did not change the connection's name, and whose tenant has none of it: whatever the guide
    /// waits with ends, and says so.
    async fn first_object_of_no_connection(&self) {
        self.auth0.delete_connection("wordpress");
        let apply = block(FIRST_DAY, "kubectl apply -f examples/namespace.yaml");
        let said = "the tenant default has no connection named wordpress; create it, or correct spec.connection";
        let planned = self.try_shell(&apply).await;
        assert!(!planned.status.success() && text(&planned.stdout).contains(said), "{}", text(&planned.stdout));
        let applied = self.try_shell(&apply.replace("upstream-params-operator plan", "true")).await;
        let shown = text(&applied.stdout);
        assert_eq!(applied.status.code(), Some(3), "{shown}\n{}", text(&applied.stderr));
        for part in ["identity/wordpress-blog: not ready (ConnectionNotFound)", said, "to do: Create the connection"] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        let waited = self.try_shell(&block(FIRST_DAY, "generation=")).await;
        let shown = text(&waited.stdout);
        assert!(waited.status.success(), "{shown}\n{}", text(&waited.stderr));
        let columns: Vec<&str> = shown.lines().last().unwrap().split_whitespace().collect();
        assert_eq!(columns[..5], ["wordpress-blog", "wordpress", "False", "Unknown", "ConnectionNotFound"], "{shown}");
        assert!(shown.contains(said), "{shown}");
        self.shell("kubectl delete -f examples/wordpress.yaml --timeout=60s").await;
        self.create_connection();
    }

    /// Makes the chart that of a release, as the release workflow does, with an image of this digit only.
    fn releases(&self, digit: char) {
        let path = self.folder.path().join("charts/upstream-params-operator/values.yaml");
        let lines = std::fs::read_to_string(&path)
            .unwrap()
            .lines()
            .map(|line| {
                let released = format!("  digest: sha256:{}", digit.to_string().repeat(64));
                if line.starts_with("  digest: ") { released } else { line.to_owned() }
            })
            .collect::<Vec<_>>();
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    }

    /// The image of the Deployment.
    fn image(&self) -> String {
        let path = "--output=jsonpath={.spec.template.spec.containers[0].image}";
        succeeds(&self.cluster.kubectl(&["get", "deployment", RELEASE, "--namespace", OPERATOR_NAMESPACE, path], ""))
    }

    /// Runs the one block of a document that begins like this.
    async fn run(&self, document: &str, begins: &str) {
        self.shell(&block(document, begins)).await;
    }

    /// As [`Walk::run`], with a change that the document asks for.
    async fn run_changed(&self, document: &str, begins: &str, change: impl Fn(&str) -> String) {
        self.shell(&change(&block(document, begins))).await;
    }

    async fn shell(&self, script: &str) {
        let output = self.try_shell(script).await;
        assert!(output.status.success(), "{script}\n{}\n{}", text(&output.stdout), text(&output.stderr));
    }

    async fn try_shell(&self, script: &str) -> Output {
        let values = |chart: &str| format!("{chart} --values values.json");
        let script = script
            .replace(" charts/upstream-params-operator", &values(" charts/upstream-params-operator"))
            .replace("clientId=...", &format!("clientId={CLIENT_ID}"));
        assert!(!script.contains("..."), "something is left to fill in: {script}");
        let path = self.folder.path().join("bin").display().to_string();
        let mut bash = Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", &script])
            .current_dir(self.folder.path())
            .env("HOME", self.folder.path())
            .env("KUBECONFIG", self.cluster.world.control_plane.kubeconfig())
            .env("UPO_INSECURE_TENANT_ENDPOINT", self.cluster.world.emulator.url())
            .env("PATH", format!("{path}:{}", std::env::var("PATH").unwrap()));
        // What is typed when a command asks for the client secret.
        self.cluster.meanwhile(bash, format!("{CLIENT_SECRET}\n")).await
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

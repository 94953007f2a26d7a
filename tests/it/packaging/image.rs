//! What the image holds, started as the kubelet and the chart start it. Run by `tests/image/run`.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use control_plane::supervise::{Options, Supervised, supervise};
use k8s_openapi::ByteString;
use serde_json::{Value, json};

use crate::packaging::helm::{environment, kind, rendered};
use test_support::manifest::tenant;
use test_support::repository::files_below;
use test_support::{OPERATOR_NAMESPACE, World, from};

/// Where a pod finds its service account.
const ACCOUNT: &str = "var/run/secrets/kubernetes.io/serviceaccount";

#[tokio::test]
#[ignore = "needs root and a static binary: run tests/image/run"]
async fn the_binary_runs_in_an_empty_root() {
    let binary = PathBuf::from(std::env::var_os("UPO_STATIC_BINARY").expect("run tests/image/run"));
    let world = World::setup().without_operator().start().await;
    let scope = world.bare_scope("image").await;
    let chart = rendered(&json!({"http": {"address": "127.0.0.1", "port": world.port()}}));
    let template = install(&world, &chart).await;
    let image = lay_out(&world, &binary, &scope.domain).await;
    let operator = start(&world, &image, &template);

    world.ready().await;
    for path in ["/healthz", "/metrics"] {
        assert_eq!(world.http(path).await.unwrap().0, 200, "{path}");
    }
    assert_eq!(identities(operator.pid()), BTreeSet::from([65532]), "users and groups of the process");
    assert_eq!(in_root(&image), before_start(), "the operator wrote into its root");

    // The name is looked up by the static C library, in the hosts file that a kubelet mounts; that its address is refused
    // shows that it was found.
    scope.create_secret().await;
    scope.create_tenant(tenant()).await;
    scope.until_tenant_says("Ready", &["private IP addresses only"]).await;

    let ended = operator.terminate(Duration::from_secs(30)).await.unwrap();
    assert!(ended.success(), "{ended}\n{}", world.log_text());
}

/// Applies what the chart renders, but for what is there already and the Deployment, whose template of a pod this returns.
async fn install(world: &World, chart: &[Value]) -> Value {
    let (deployments, others): (Vec<&Value>, Vec<&Value>) =
        chart.iter().filter(|object| kind(object) != "CustomResourceDefinition").partition(|object| kind(object) == "Deployment");
    let file = world.control_plane.folder().join("chart.json");
    std::fs::write(&file, json!({"apiVersion": "v1", "kind": "List", "items": others}).to_string()).unwrap();
    world.control_plane.apply(&file).await.unwrap();
    let [deployment] = deployments.as_slice() else { panic!("{} Deployments", deployments.len()) };
    deployment["spec"]["template"].clone()
}

/// The image's files, and those that a kubelet mounts.
async fn lay_out(world: &World, binary: &Path, host: &str) -> PathBuf {
    let root = world.control_plane.folder().join("root");
    let put = |path: &str, content: &[u8], mode: u32| {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    };
    put("upstream-params-operator", &std::fs::read(binary).unwrap(), 0o755);
    put("etc/ssl/certs/ca-certificates.crt", &std::fs::read("/etc/ssl/certs/ca-certificates.crt").unwrap(), 0o644);
    put("etc/hosts", format!("127.0.0.1 localhost\n127.0.0.1 {host}\n").as_bytes(), 0o644);
    let arguments = ["create", "token", "upstream-params-operator", "--namespace", OPERATOR_NAMESPACE];
    let token = world.control_plane.run(arguments).await.unwrap();
    put(&format!("{ACCOUNT}/token"), token.trim().as_bytes(), 0o644);
    put(&format!("{ACCOUNT}/namespace"), OPERATOR_NAMESPACE.as_bytes(), 0o644);
    let arguments = ["config", "view", "--raw", "--output=jsonpath={.clusters[0].cluster.certificate-authority-data}"];
    let ca = world.control_plane.run(arguments).await.unwrap();
    put(&format!("{ACCOUNT}/ca.crt"), &from::<ByteString>(json!(ca)).0, 0o644);
    root
}

fn before_start() -> BTreeSet<String> {
    let account = ["token", "namespace", "ca.crt"].map(|file| format!("{ACCOUNT}/{file}"));
    let image = ["upstream-params-operator", "etc/ssl/certs/ca-certificates.crt", "etc/hosts"].map(str::to_owned);
    account.into_iter().chain(image).collect()
}

fn in_root(root: &Path) -> BTreeSet<String> {
    files_below(root, "").iter().map(|file| file.strip_prefix(root).unwrap().to_str().unwrap().to_owned()).collect()
}

/// Starts it with the arguments, the environment and the user that the chart gives, and no other.
fn start(world: &World, root: &Path, template: &Value) -> Supervised {
    let mut pod = template.clone();
    pod["metadata"]["name"] = json!("upstream-params-operator-0");
    pod["metadata"]["namespace"] = json!(OPERATOR_NAMESPACE);
    let container = &pod["spec"]["containers"][0];
    assert_eq!(container["command"], Value::Null, "the image's own entry point");
    let security = &pod["spec"]["securityContext"];
    let user = format!("--userspec={}:{}", security["runAsUser"], security["runAsGroup"]);
    let (host, api_port) = world.control_plane.server().strip_prefix("https://").unwrap().rsplit_once(':').unwrap();
    let mut command = Command::new("env");
    command
        .args(["-i", &format!("KUBERNETES_SERVICE_HOST={host}"), &format!("KUBERNETES_SERVICE_PORT={api_port}")])
        .args(environment(&pod).iter().map(|(name, value)| format!("{name}={value}")))
        .args(["/usr/sbin/chroot", &user, "--groups=", root.to_str().unwrap(), "/upstream-params-operator"])
        .args(container["args"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()));
    supervise(&command, &Options::new(world.log())).unwrap()
}

/// Every user and group id that a process has.
fn identities(pid: u32) -> BTreeSet<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let lines = status.lines().filter_map(|line| ["Uid:", "Gid:", "Groups:"].iter().find_map(|name| line.strip_prefix(name)));
    lines.flat_map(str::split_whitespace).map(|id| id.parse().unwrap()).collect()
}

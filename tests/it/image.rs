//! What the image holds, started as the kubelet and the chart start it. Run by `tests/image/run`.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testbed::control_plane::supervise::{Options, Supervised, supervise};

use crate::helm::rendered;
use crate::support::{Bench, OPERATOR_NAMESPACE, SOON};

/// Where a pod finds its service account.
const ACCOUNT: &str = "var/run/secrets/kubernetes.io/serviceaccount";
/// A tenant's host that the root's own hosts file knows, inside a private network.
const HOST: &str = "image-test.eu.auth0.com";

#[tokio::test]
#[ignore = "needs root and a static binary: run tests/image/run"]
async fn the_binary_runs_in_an_empty_root() {
    let binary = PathBuf::from(std::env::var_os("UPO_STATIC_BINARY").expect("run tests/image/run"));
    let bench = Bench::without_operator().await;
    let port = free_port();
    let chart = rendered(&json!({"http": {"address": "127.0.0.1", "port": port}}));
    let pod = install(&bench, &chart).await;
    let image = lay_out(&bench, &binary).await;
    let operator = start(&bench, &image, &pod);

    let give_up = Instant::now() + SOON;
    while get(port, "/readyz").await != Some(200) {
        assert!(Instant::now() < give_up && operator.is_running(), "not ready\n{}", log(&operator));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(get(port, "/healthz").await, Some(200));
    assert_eq!(get(port, "/metrics").await, Some(200));
    assert_eq!(identities(operator.pid()), BTreeSet::from([65532]), "users and groups of the process");
    assert_eq!(in_root(&image), before_start(), "the operator wrote into its root");

    // The name is looked up by the static C library, in the hosts file that a kubelet mounts; that its address is refused
    // shows that it was found.
    let tenant = json!({
        "apiVersion": "upstreamparams.dev/v1alpha1", "kind": "ClusterAuth0Tenant", "metadata": {"name": "image-test"},
        "spec": {"domain": HOST, "credentials": {"secretRef": {"name": "auth0-credentials"}},
                 "access": [{"namespaceSelector": {}, "connections": ["*"]}]},
    });
    let file = bench.control_plane.folder().join("tenant.json");
    std::fs::write(&file, tenant.to_string()).unwrap();
    let run = |arguments: &'static [&'static str]| bench.control_plane.run(arguments.iter().copied());
    run(&[
        "create",
        "secret",
        "generic",
        "auth0-credentials",
        "--namespace",
        OPERATOR_NAMESPACE,
        "--from-literal=clientId=id",
        "--from-literal=clientSecret=secret",
    ])
    .await
    .unwrap();
    bench.control_plane.apply(&file).await.unwrap();
    let give_up = Instant::now() + SOON;
    loop {
        let status = run(&["get", "clusterauth0tenant", "image-test", "--output=jsonpath={.status}"]).await.unwrap();
        if status.contains("private network") {
            break;
        }
        assert!(Instant::now() < give_up, "{status}\n{}", log(&operator));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }

    let ended = operator.terminate(Duration::from_secs(30)).await.unwrap();
    assert!(ended.success(), "{ended}\n{}", log(&operator));
}

/// Applies what the chart renders, but for what is there already and the Deployment, whose pod this returns.
async fn install(bench: &Bench, chart: &[Value]) -> Value {
    let kind = |object: &Value| object["kind"].as_str().unwrap().to_owned();
    let (deployments, others): (Vec<&Value>, Vec<&Value>) =
        chart.iter().filter(|object| kind(object) != "CustomResourceDefinition").partition(|object| kind(object) == "Deployment");
    let file = bench.control_plane.folder().join("chart.json");
    std::fs::write(&file, json!({"apiVersion": "v1", "kind": "List", "items": others}).to_string()).unwrap();
    bench.control_plane.apply(&file).await.unwrap();
    let [deployment] = deployments.as_slice() else { panic!("{} Deployments", deployments.len()) };
    deployment["spec"]["template"]["spec"].clone()
}

/// The image's files, and those that a kubelet mounts.
async fn lay_out(bench: &Bench, binary: &Path) -> PathBuf {
    let root = bench.control_plane.folder().join("root");
    let put = |path: &str, content: &[u8], mode: u32| {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    };
    put("upstream-params-operator", &std::fs::read(binary).unwrap(), 0o755);
    put("etc/ssl/certs/ca-certificates.crt", &std::fs::read("/etc/ssl/certs/ca-certificates.crt").unwrap(), 0o644);
    put("etc/hosts", format!("127.0.0.1 localhost\n127.0.0.1 {HOST}\n").as_bytes(), 0o644);
    let arguments = ["create", "token", "upstream-params-operator", "--namespace", OPERATOR_NAMESPACE];
    let token = bench.control_plane.run(arguments).await.unwrap();
    put(&format!("{ACCOUNT}/token"), token.trim().as_bytes(), 0o644);
    put(&format!("{ACCOUNT}/namespace"), OPERATOR_NAMESPACE.as_bytes(), 0o644);
    let arguments = ["config", "view", "--raw", "--output=jsonpath={.clusters[0].cluster.certificate-authority-data}"];
    let ca = bench.control_plane.run(arguments).await.unwrap();
    put(&format!("{ACCOUNT}/ca.crt"), &decoded(&ca), 0o644);
    root
}

fn before_start() -> BTreeSet<String> {
    let account = ["token", "namespace", "ca.crt"].map(|file| format!("{ACCOUNT}/{file}"));
    let image = ["upstream-params-operator", "etc/ssl/certs/ca-certificates.crt", "etc/hosts"].map(str::to_owned);
    account.into_iter().chain(image).collect()
}

fn in_root(root: &Path) -> BTreeSet<String> {
    fn walk(root: &Path, folder: &Path, found: &mut BTreeSet<String>) {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                walk(root, &path, found);
            } else {
                found.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    let mut found = BTreeSet::new();
    walk(root, root, &mut found);
    found
}

/// Starts it with the arguments, the environment and the user that the chart gives, and no other.
fn start(bench: &Bench, root: &Path, pod: &Value) -> Supervised {
    let container = &pod["containers"][0];
    assert_eq!(container["command"], Value::Null, "the image's own entry point");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let environment = container["env"].as_array().unwrap().iter().map(|one| {
        let value = match one["valueFrom"]["fieldRef"]["fieldPath"].as_str() {
            Some("metadata.namespace") => OPERATOR_NAMESPACE.to_owned(),
            Some("metadata.name") => "upstream-params-operator-0".to_owned(),
            Some(other) => panic!("a pod's {other}"),
            None => text(&one["value"]),
        };
        format!("{}={value}", text(&one["name"]))
    });
    let user = format!("--userspec={}:{}", pod["securityContext"]["runAsUser"], pod["securityContext"]["runAsGroup"]);
    let (host, api_port) = bench.control_plane.server().strip_prefix("https://").unwrap().rsplit_once(':').unwrap();
    let mut command = Command::new("env");
    command
        .args(["-i", &format!("KUBERNETES_SERVICE_HOST={host}"), &format!("KUBERNETES_SERVICE_PORT={api_port}")])
        .args(environment)
        .args(["/usr/sbin/chroot", &user, "--groups=", root.to_str().unwrap(), "/upstream-params-operator"])
        .args(container["args"].as_array().unwrap().iter().map(text));
    supervise(&command, &Options::new(bench.control_plane.folder().join("image.log"))).unwrap()
}

fn log(operator: &Supervised) -> String {
    std::fs::read_to_string(operator.log()).unwrap_or_default()
}

/// Every user and group id that a process has.
fn identities(pid: u32) -> BTreeSet<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let lines = status.lines().filter_map(|line| ["Uid:", "Gid:", "Groups:"].iter().find_map(|name| line.strip_prefix(name)));
    lines.flat_map(str::split_whitespace).map(|id| id.parse().unwrap()).collect()
}

async fn get(port: u16, path: &str) -> Option<u16> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Base64, decoded by the program that every Debian has.
fn decoded(text: &str) -> Vec<u8> {
    use std::io::Write;
    let mut base64 =
        Command::new("base64").arg("--decode").stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    base64.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    base64.wait_with_output().unwrap().stdout
}

//! Against the real programs: the first run on a machine builds them.

use super::*;

fn alive(pid: u32) -> bool {
    let status =
        Command::new("/bin/sh").args(["-c", "kill -s 0 \"$1\"", "alive", &pid.to_string()]).stderr(std::process::Stdio::null()).status();
    status.unwrap().success()
}

#[tokio::test]
async fn a_control_plane_with_controllers_works_and_stops_without_a_trace() {
    let options = Options { controllers: true, ..Options::default() };
    // Spawned, so that it stays possible to start one on any thread.
    let control_plane = tokio::spawn(ControlPlane::start(options)).await.unwrap().unwrap();

    let version = control_plane.run(["version", "--output=json"]).await.unwrap();
    let version: serde_json::Value = serde_json::from_str(&version).unwrap();
    assert_eq!(version["clientVersion"]["gitVersion"], version["serverVersion"]["gitVersion"]);

    control_plane.run(["create", "namespace", "fleeting"]).await.unwrap();
    control_plane.run(["-n", "fleeting", "create", "configmap", "thing"]).await.unwrap();
    control_plane.run(["delete", "namespace", "fleeting", "--timeout=30s"]).await.unwrap();
    let gone = control_plane.run(["get", "namespace", "fleeting"]).await.unwrap_err().to_string();
    assert!(gone.starts_with("kubectl get namespace fleeting failed") && gone.contains("not found"), "{gone}");

    let token = control_plane.run(["create", "token", "default"]).await.unwrap();
    let kubeconfig = control_plane.folder().join("service-account");
    std::fs::write(&kubeconfig, control_plane.kubeconfig_with_token(token.trim())).unwrap();
    let mut who = Command::new(control_plane.binaries().kubectl.as_ref().unwrap());
    who.arg("--kubeconfig").arg(&kubeconfig).args(["auth", "whoami", "--output=name", "--output=jsonpath={.status.userInfo.username}"]);
    let who = who.env("HOME", control_plane.folder()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&who.stdout), "system:serviceaccount:default:default", "{who:?}");

    let (pids, folder) = (control_plane.pids(), control_plane.folder().to_owned());
    assert_eq!((pids.len(), pids.iter().all(|pid| alive(*pid)), folder.is_dir()), (3, true, true));
    control_plane.stop().await.unwrap();
    assert_eq!((pids.iter().any(|pid| alive(*pid)), folder.exists()), (false, false));
}

#[tokio::test]
async fn an_outage_of_the_api_server_keeps_address_data_and_users() {
    let users = vec![User { name: "jane".to_owned(), groups: vec!["readers".to_owned()], token: "jane,\"token\"".to_owned() }];
    let control_plane = ControlPlane::start(Options { users, ..Options::default() }).await.unwrap();
    let manifest = control_plane.folder().join("manifest.yaml");
    std::fs::write(&manifest, "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: kept\n  namespace: default\n").unwrap();
    control_plane.apply(&manifest).await.unwrap();
    let before = control_plane.kubeconfig_yaml().to_owned();

    control_plane.pause_api_server().await.unwrap();
    assert_eq!(control_plane.pids().len(), 1);
    let refused = control_plane.run(["get", "configmap", "kept"]).await.unwrap_err().to_string();
    assert!(refused.contains("refused"), "{refused}");

    control_plane.resume_api_server().await.unwrap();
    assert_eq!(control_plane.kubeconfig_yaml(), before);
    assert_eq!(std::fs::read_to_string(control_plane.kubeconfig()).unwrap(), before);
    control_plane.run(["get", "configmap", "kept"]).await.unwrap();
    let allowed = control_plane.run(["get", "configmap", "kept", "--as=jane"]).await.unwrap_err().to_string();
    assert!(allowed.contains("User \"jane\" cannot get"), "RBAC is in force: {allowed}");
    let jane = control_plane.folder().join("jane");
    std::fs::write(&jane, control_plane.kubeconfig_with_token("jane,\"token\"")).unwrap();
    let who = control_plane.kubectl().arg("--kubeconfig").arg(&jane).args(["auth", "whoami"]).output().unwrap();
    assert!(String::from_utf8_lossy(&who.stdout).contains("jane"), "{who:?}");

    let (pids, folder) = (control_plane.pids(), control_plane.folder().to_owned());
    drop(control_plane);
    assert_eq!((pids.iter().any(|pid| alive(*pid)), folder.exists()), (false, false));
}

#[tokio::test]
async fn a_component_that_does_not_start_says_why() {
    let options = Options { api_server_arguments: vec!["--no-such-flag".to_owned()], ..Options::default() };
    let message = ControlPlane::start(options).await.unwrap_err().to_string();
    assert!(message.starts_with("kube-apiserver ended instead of becoming ready. The last lines of its log:\n"), "{message}");
    assert!(message.contains("unknown flag: --no-such-flag"), "{message}");
}

#[tokio::test]
async fn a_component_that_is_not_ready_in_time_says_so() {
    let scratch = Scratch::new("control-plane-slow").unwrap();
    let mut slow = Command::new("/bin/sh");
    slow.args(["-c", "echo starting; sleep 1000"]);
    let slow = component(&slow, scratch.path(), "slow").unwrap();
    let probe = || async { Err("nobody answers".to_owned()) };
    let message = until_ready("slow", &slow, Duration::from_secs(1), probe).await.unwrap_err().to_string();
    assert_eq!(message, "slow is not ready after 1 s: nobody answers\nThe last lines of its log:\nstarting");
}

#[tokio::test]
async fn controllers_are_refused_without_their_program() {
    let nowhere = PathBuf::from("/nowhere");
    let binaries = Binaries { etcd: nowhere.clone(), kube_apiserver: nowhere, kubectl: None, kube_controller_manager: None };
    let options = Options { binaries: Some(binaries), controllers: true, ..Options::default() };
    assert!(matches!(ControlPlane::start(options).await, Err(Error::NoControllerManager)));
}

#[tokio::test]
async fn a_control_plane_takes_two_programs_where_nothing_else_is_asked_for() {
    let options = Options { kubectl: false, ..Options::default() };
    assert_eq!(options.programs(), []);
    let control_plane = ControlPlane::start(options).await.unwrap();
    assert_eq!(control_plane.pids().len(), 2);
    control_plane.asked().unwrap().answers("/version").await.unwrap();
    let unknown = control_plane.asked().unwrap().answers("/no-such-path").await.unwrap_err();
    assert_eq!(unknown, "/no-such-path: HTTP/1.1 404 Not Found");
    let stranger = ApiServer::new(control_plane.port, &control_plane.ca, "no token").unwrap();
    assert!(stranger.answers("/version").await.unwrap_err().contains("401"));
    let elsewhere = ApiServer::new(control_plane.port, b"", &control_plane.admin_token).unwrap();
    assert!(elsewhere.answers("/version").await.is_err(), "whoever has another certificate is not asked");
}

#[test]
fn a_folder_of_ones_own_has_to_be_empty_and_stays() {
    let scratch = Scratch::new("control-plane-own").unwrap();
    let own = scratch.path().join("deep/own");
    let (folder, temporary) = fresh_folder(Some(own.clone())).unwrap();
    assert_eq!((&folder, temporary.is_none()), (&own, true));
    std::fs::write(own.join("etcd"), "").unwrap();
    assert!(matches!(fresh_folder(Some(own)), Err(Error::NotEmpty(_))));
}

#[test]
fn free_ports_differ_and_lie_below_the_range_of_outgoing_connections() {
    let [a, b, c] = free_ports().unwrap();
    assert!(a != b && b != c && a != c);
    assert!([a, b, c].iter().all(|port| PORTS.contains(port)));
}

#[test]
fn bytes_are_written_as_two_digits_each() {
    assert_eq!(hex(&[0x00, 0x0f, 0xa0, 0xff]), "000fa0ff");
}

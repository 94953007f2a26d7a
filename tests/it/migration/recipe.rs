//! What the command `emulator` prints, run as it stands: by a person's shell, on a cluster that is there.

use std::process::{Command, Stdio};
use std::time::Duration;

use control_plane::supervise::{Options, Scratch, supervise};
use test_support::wait::{eventually, until};
use test_support::{World, get_status, operator_binary};

/// The lines between one that begins with this and the next blank one.
fn block<'a>(recipe: &'a str, begins: &str) -> &'a str {
    let start = recipe.find(&format!("\n{begins}")).unwrap_or_else(|| panic!("no {begins:?} in\n{recipe}")) + 1;
    recipe[start..].split("\n\n").next().unwrap()
}

#[tokio::test]
async fn the_recipe_of_the_emulator_puts_tools_and_the_operator_beside_it() {
    let world = World::setup().without_operator().without_definitions().start().await;
    let folder = Scratch::new("recipe").unwrap();
    let bin = folder.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(world.control_plane.binaries().kubectl.as_ref().unwrap(), bin.join("kubectl")).unwrap();
    let shell = |script: &str| {
        let mut bash = Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", script])
            .current_dir(folder.path())
            .env_clear()
            .env("PATH", format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()))
            .env("HOME", folder.path())
            .env("TMPDIR", folder.path())
            .env("KUBECONFIG", world.control_plane.kubeconfig())
            .stdin(Stdio::null());
        bash
    };
    let run = async |script: &str| {
        let output = tokio::process::Command::from(shell(script)).kill_on_drop(true).output().await.unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{script}\n{said}");
        said
    };

    let log = folder.path().join("emulator.log");
    let start = format!("exec {} emulator --tls --port 0 --tls-port 0", operator_binary().display());
    let emulator = supervise(&shell(&start), &Options::new(&log)).unwrap();
    let recipe = || std::fs::read_to_string(&log).unwrap_or_default();
    eventually("the whole recipe", async || recipe().contains(" connections --domain").then_some(()), async || recipe()).await;
    let recipe = recipe();

    // What it says for tools: by the variables alone, curl trusts it and gets a token, whose audience is the tenant's own.
    let variables: Vec<&str> = recipe.lines().filter(|line| line.trim_start().starts_with("export ")).collect();
    assert_eq!(variables.len(), 8, "{recipe}");
    let variables = format!("{}\n", variables.join("\n"));
    let ask = r#"curl -sS --fail "https://$AUTH0_DOMAIN/oauth/token" -d grant_type=client_credentials -d client_id="$AUTH0_CLIENT_ID" -d client_secret="$AUTH0_CLIENT_SECRET" -d audience="$AUTH0_AUDIENCE""#;
    assert!(run(&format!("{variables}{ask}")).await.contains("access_token"));
    let distrusting =
        tokio::process::Command::from(shell(&format!("{variables}unset CURL_CA_BUNDLE SSL_CERT_FILE; {ask}"))).output().await.unwrap();
    assert!(!distrusting.status.success(), "nobody trusts it who was not told to");

    // What it says for people who only look.
    let token = recipe.lines().find(|line| line.trim_start().starts_with("TOKEN=")).unwrap();
    let list = recipe.lines().find(|line| line.contains("/api/v2/connections?take=50")).unwrap();
    assert!(run(&format!("{token}\n{list}")).await.contains(r#""name":"corporate-oidc""#));

    let looked = run(block(&recipe, "AUTH0_CLIENT_ID=")).await;
    assert!(looked.contains("corporate-oidc") && looked.contains("legacy-saml"), "{looked}");

    // The two commands that put the operator beside it.
    let this = operator_binary().display().to_string();
    run(block(&recipe, &format!("{this} crds"))).await;
    let controller = block(&recipe, &format!("{this} controller"));
    assert!(!controller.contains("8090") && !controller.contains("--http-address"), "{controller}");
    // As it stands, but for the port of the operator's own server, which other tests may hold.
    let port = test_support::free_port();
    let controller_log = folder.path().join("controller.log");
    let start = format!("UPO_HTTP_ADDRESS=127.0.0.1:{port} exec {controller}");
    let operator = supervise(&shell(&start), &Options::new(&controller_log)).unwrap();
    until("an operator that is ready", async || get_status(("127.0.0.1", port), "/readyz").await == Some(200)).await;
    run("kubectl wait --for=condition=Ready clusterauth0tenant/default --timeout=60s").await;
    let object = r#"{"apiVersion": "upstreamparams.dev/v1alpha1", "kind": "UpstreamParams", "metadata": {"name": "blog", "namespace": "default"}, "spec": {"connection": {"name": "wordpress"}, "params": {"blog": {"value": "myblog.wordpress.com"}}}}"#;
    run(&format!(
        "echo '{object}' | kubectl apply -f - && kubectl wait --for=condition=Ready uparams/blog --namespace default --timeout=60s"
    ))
    .await;
    let seen = run(&format!("{token}\n{}", list.replace("take=50", "name=wordpress&take=1"))).await;
    assert!(seen.contains(r#""upstream_params":{"blog":{"value":"myblog.wordpress.com"}}"#), "{seen}");
    assert!(operator.terminate(Duration::from_secs(30)).await.unwrap().success());
    let authority = recipe.lines().find_map(|line| line.trim().strip_prefix("export CURL_CA_BUNDLE=")).unwrap();
    let authority = std::path::Path::new(authority.split_whitespace().next().unwrap());
    assert!(authority.is_file(), "{}", authority.display());
    assert!(emulator.terminate(Duration::from_secs(30)).await.unwrap().success());
    assert!(!authority.exists(), "what it made goes with it");
}

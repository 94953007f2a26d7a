//! What the demo prints, all of it read back.

use std::fmt::Write as _;

use anyhow::Context;
use serde_json::{Map, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::stage::{Stage, expected};
use crate::cli::print;

/// Prints everything. Yields whether all is as expected.
pub(super) async fn everything(stage: &Stage, unsettled: Vec<String>) -> anyhow::Result<bool> {
    print_objects(stage).await?;
    let (text, mut wrong) = connections(stage);
    print(&text)?;
    print(&requests(stage).await?)?;
    wrong.extend(unsettled);
    let mut text = String::new();
    for problem in &wrong {
        writeln!(text, "NOT AS EXPECTED: {problem}")?;
    }
    if wrong.is_empty() {
        writeln!(text, "\nEverything is as expected.")?;
    }
    print(&text)?;
    Ok(wrong.is_empty())
}

async fn print_objects(stage: &Stage) -> anyhow::Result<()> {
    let columns = ["Accepted", "ResolvedRefs", "Synced"]
        .map(|kind| format!(r#"{}:.status.conditions[?(@.type=="{kind}")].reason"#, kind.to_uppercase()))
        .join(",");
    let columns = format!(r#"custom-columns=NAME:.metadata.name,READY:.status.conditions[?(@.type=="Ready")].status,{columns}"#);
    for arguments in [
        vec!["get", "clusterauth0tenants"],
        vec!["get", "uparams", "-n", "identity"],
        vec!["get", "uparams", "-n", "identity", "-o", &columns],
    ] {
        let said = stage.control_plane.run(&arguments).await?;
        let shown = if arguments.len() > 4 {
            "get uparams -n identity -o custom-columns=...  # the four conditions".to_owned()
        } else {
            arguments.join(" ")
        };
        print(&format!("\n$ kubectl {shown}\n{said}"))?;
    }
    let message = r#"jsonpath={.status.conditions[?(@.type=="Accepted")].message}"#;
    let said = stage.control_plane.run(["get", "uparams", "legacy-saml", "-n", "identity", "-o", message]).await?;
    print(&format!("\nlegacy-saml was refused: {said}\n"))
}

/// For each connection, what changed and whether the rest is as it was. Yields what is not as expected.
pub(super) fn connections(stage: &Stage) -> (String, Vec<String>) {
    let mut text = String::from("\nThe connections at the tenant:\n");
    let mut wrong = Vec::new();
    for expected in expected() {
        let name = expected.connection;
        let Some((_, before)) = stage.before.iter().find(|(before, _)| before == name) else { continue };
        let after = stage.tenant.connection(name);
        let (old, new) = (params(before), params(&after));
        let changed: Vec<String> =
            new.iter().filter(|(key, value)| old.get(*key) != Some(*value)).map(|(key, value)| format!("{key} {value}")).collect();
        let rest = without_params(before) == without_params(&after);
        let changed = if changed.is_empty() { "nothing changed".to_owned() } else { format!("set {}", changed.join(", ")) };
        let kept = foreign_count(before);
        let verdict =
            if rest { format!("its other {kept} options and the rest are as they were") } else { "SOMETHING ELSE CHANGED".to_owned() };
        // Writing into a String can't fail.
        let _ = writeln!(text, "  {name}: {changed}; {verdict}");
        if !rest {
            wrong.push(format!("the connection {name} has changed beyond its upstream parameters"));
        }
        if Value::Object(new) != expected.params {
            wrong.push(format!("the connection {name} does not have the expected upstream parameters"));
        }
    }
    (text, wrong)
}

fn params(document: &Value) -> Map<String, Value> {
    document.pointer("/options/upstream_params").and_then(Value::as_object).cloned().unwrap_or_default()
}

fn without_params(document: &Value) -> Value {
    let mut document = document.clone();
    if let Some(options) = document.pointer_mut("/options").and_then(Value::as_object_mut) {
        options.remove("upstream_params");
    }
    document
}

fn foreign_count(document: &Value) -> usize {
    let options = document.pointer("/options").and_then(Value::as_object);
    options.map_or(0, |options| options.keys().filter(|key| *key != "upstream_params").count())
}

/// The authorization request that a login over each connection sends now.
async fn requests(stage: &Stage) -> anyhow::Result<String> {
    let mut text = String::from("\nWhat a login with login_hint=ada@example.com and ui_locales=fr sends to the identity provider now:\n");
    for expected in expected() {
        let location = authorize(stage, expected.connection).await?;
        writeln!(text, "  {}\n    {location}", expected.connection)?;
    }
    Ok(text)
}

/// Asks the emulated tenant's `/authorize`, as an application would, where it redirects to.
async fn authorize(stage: &Stage, connection: &str) -> anyhow::Result<String> {
    let query = format!(
        "client_id=app&response_type=code&redirect_uri=https%3A%2F%2Fapp.example.com%2Fcallback&state=xyz&scope=openid&login_hint=ada%40example.com&ui_locales=fr&connection={connection}"
    );
    let mut stream = tokio::net::TcpStream::connect(stage.emulator.addr()).await.context("the emulated tenant can't be reached")?;
    let request = format!("GET /authorize?{query} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", stage.tenant.domain());
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let location = answer.lines().find_map(|line| line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("location")));
    location.map(|(_, location)| location.trim().to_owned()).context("/authorize did not redirect")
}

/// How to look around.
pub(super) fn invitation(stage: &Stage) -> String {
    format!(
        r#"
It stays up. In another terminal:

  export KUBECONFIG={kubeconfig}
  alias kubectl={kubectl}

  kubectl get uparams -n identity --watch
  kubectl patch uparams wordpress-blog -n identity --type merge -p '{{"spec":{{"params":{{"blog":{{"value":"another.wordpress.com"}}}}}}}}'
  kubectl delete uparams contoso-accounts -n identity     # its parameters go, the rest of the connection stays
  kubectl describe uparams legacy-saml -n identity

Here: type `drift` to play a colleague who changes a parameter in the Auth0 dashboard, `show` to see the connections,
Ctrl-C to stop and clean up.
"#,
        kubeconfig = stage.kubeconfig().display(),
        kubectl = stage.kubectl().display(),
    )
}

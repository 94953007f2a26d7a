//! What the demo shows, section by section, all of it read back from the API server and the tenant.

use std::fmt::Write as _;

use anstyle::Style;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use serde_json::Value;

use super::connection::{Connection, SENT, shown};
use super::examples::{DOMAIN, Expected, NAMESPACE, expected};
use super::stage::Stage;
use crate::api::reason::ConditionType;
use crate::api::upstream_params::UpstreamParams;
use crate::cli::output::{paint, print, printable, style, table};

/// The longest line of running text.
const WIDTH: usize = 96;

/// The connection, the parameter and the value that the colleague sets.
const DRIFT: (&str, &str, &str) = ("wordpress", "blog", "changed-in-the-dashboard");

/// The story as far as it was told.
pub(super) struct Story<'a> {
    stage: &'a Stage,
    told: String,
    /// What is not as expected.
    wrong: Vec<String>,
}

impl<'a> Story<'a> {
    pub(super) fn of(stage: &'a Stage) -> Self {
        Self { stage, told: String::new(), wrong: Vec::new() }
    }

    /// All that was printed.
    pub(super) fn told(&self) -> &str {
        &self.told
    }

    /// Whether all was as expected.
    pub(super) fn is_good(&self) -> bool {
        self.wrong.is_empty()
    }

    /// Tells all of it.
    pub(super) async fn tell(&mut self) -> anyhow::Result<()> {
        let before = connections(self.stage).await?;
        self.section("1. Before: five connections at an emulated Auth0 tenant", &listed(&before))?;
        let applied = self.stage.apply_examples().await?;
        self.section("2. Applied to a real API server: the tenant, and an object for each connection", &applied_text(&applied))?;
        self.wrong.extend(self.stage.settle().await?);
        let objects = self.stage.objects().await?;
        self.section("3. What became of the objects", &outcomes(&objects))?;
        let after = connections(self.stage).await?;
        let text = self.changes(&before, &after);
        self.section("4. What changed at the tenant, and what did not", &text)?;
        let [(hint, ada), (locales, fr)] = SENT;
        let title = format!("5. What a login with {hint}={ada} and {locales}={fr} sends to the identity provider now");
        let text = self.logins(&before, &after);
        self.section(&title, &text)?;
        self.section("6. What was refused, and why", &refused(&objects))?;
        let text = self.corrected().await?;
        self.section("7. A colleague changes a parameter in the Auth0 Dashboard, and the operator sets it back", &text)?;
        let verdict = self.verdict();
        self.say(&verdict)
    }

    /// Plays the colleague once more.
    pub(super) async fn drift(&mut self) -> anyhow::Result<()> {
        let text = format!("{}{}", self.corrected().await?, self.verdict());
        self.say(&text)
    }

    /// The connections as they are now.
    pub(super) async fn show(&mut self) -> anyhow::Result<()> {
        let text = listed(&connections(self.stage).await?);
        self.say(&text)
    }

    fn section(&mut self, title: &str, text: &str) -> anyhow::Result<()> {
        self.say(&format!("\n{}\n{text}", paint(style::TITLE, title)))
    }

    fn say(&mut self, text: &str) -> anyhow::Result<()> {
        self.told.push_str(text);
        print(text)
    }

    fn changes(&mut self, before: &[Connection], after: &[Connection]) -> String {
        let mut text = String::new();
        for (expected, (before, after)) in expected().iter().zip(before.iter().zip(after)) {
            let Connection { name, others, .. } = after;
            let kept = after.kept_the_rest_of(before);
            let rest = if kept { "unchanged, byte for byte".to_owned() } else { paint(style::BAD, "NOT AS THEY WERE") };
            // Writing into a String can't fail.
            let _ = writeln!(text, "   {name:15} the other {others} options: {rest}");
            text.push_str(&difference(before, after));
            if !kept {
                self.wrong.push(format!("the connection {name} has changed beyond its upstream parameters"));
            }
            if Value::Object(after.params.clone()) != expected.params {
                self.wrong.push(format!("the connection {name} does not have the expected upstream parameters"));
            }
        }
        text
    }

    fn logins(&mut self, before: &[Connection], after: &[Connection]) -> String {
        let mut text = String::new();
        for (expected, (before, after)) in expected().iter().zip(before.iter().zip(after)) {
            let news: Vec<String> = after.login.news(&before.login).map(|(name, value)| format!("{name}={value}")).collect();
            let what =
                if news.is_empty() { paint(style::DIM, "nothing new") } else { paint(style::GOOD, format!("+ {}", news.join("  + "))) };
            let _ = writeln!(text, "   {:15} {what}", after.name);
            for (name, value) in arriving(expected) {
                if after.login.query.get(&name) != Some(&value) {
                    self.wrong.push(format!("a login over {} does not send {name}={value}", after.name));
                }
            }
        }
        text
    }

    /// Plays the colleague, and waits until that is undone.
    async fn corrected(&mut self) -> anyhow::Result<String> {
        let (name, param, value) = DRIFT;
        let theirs = Connection::read(self.stage, name).await?;
        let told = self.stage.corrections().await?;
        self.stage.set_by_hand(name, param, value)?;
        let changed = Connection::read(self.stage, name).await?;
        let undone = self.stage.undone(name, &theirs.params).await;
        let after = Connection::read(self.stage, name).await?;
        let mut text = format!("   {name}, changed by hand:\n{}", difference(&theirs, &changed));
        let _ = write!(text, "   {name}, a few seconds later:\n{}", difference(&changed, &after));
        match self.stage.correction_beyond(&told).await? {
            Some(note) => text.push_str(&wrapped(&format!("Event DriftCorrected: {note}"))),
            None => self.wrong.push("there is no event DriftCorrected".to_owned()),
        }
        if !undone {
            self.wrong.push(format!("the parameter {param} of the connection {name} was not set back"));
        }
        if !after.kept_the_rest_of(&theirs) {
            self.wrong.push(format!("the connection {name} has changed beyond its upstream parameters"));
        }
        Ok(text)
    }

    fn verdict(&self) -> String {
        if self.is_good() {
            return format!("\n{}\n", paint(style::GOOD, "Everything is as expected."));
        }
        self.wrong
            .iter()
            .fold("\n".to_owned(), |text, wrong| format!("{text}{} {}\n", paint(style::BAD, "NOT AS EXPECTED:"), printable(wrong)))
    }
}

/// The connections of the examples, in their order.
async fn connections(stage: &Stage) -> anyhow::Result<Vec<Connection>> {
    let mut found = Vec::new();
    for expected in expected() {
        found.push(Connection::read(stage, expected.connection).await?);
    }
    Ok(found)
}

/// A line for each connection.
fn listed(connections: &[Connection]) -> String {
    let line = |connection: &Connection| {
        let Connection { name, strategy, params, others, .. } = connection;
        let params: Vec<String> = params.iter().map(|(name, param)| shown(name, param)).collect();
        let params = if params.is_empty() { "no upstream parameters".to_owned() } else { params.join(", ") };
        format!("   {name:15} {:11} {others:2} options, and {params}\n", format!("({strategy})"))
    };
    connections.iter().map(line).collect()
}

/// What was applied: a line for each kind.
fn applied_text(applied: &[(String, String)]) -> String {
    let mut lines: Vec<(&str, Vec<&str>)> = Vec::new();
    for (kind, name) in applied {
        match lines.iter_mut().find(|(of, _)| of == kind) {
            Some((_, names)) => names.push(name),
            None => lines.push((kind, vec![name])),
        }
    }
    lines.iter().flat_map(|(kind, names)| [format!("   {kind:19} "), names.join(", "), "\n".to_owned()]).collect()
}

/// What `kubectl get` would show of the objects.
fn outcomes(objects: &[UpstreamParams]) -> String {
    let word = |object: &UpstreamParams, kind, of: fn(&Condition) -> &String| condition(object, kind).map(of).cloned().unwrap_or_default();
    let row = |object: &UpstreamParams| {
        let target = object.status.as_ref().and_then(|status| status.target.clone()).unwrap_or_default();
        vec![
            object.name_any(),
            target,
            word(object, ConditionType::Ready, |condition| &condition.status),
            word(object, ConditionType::Synced, |condition| &condition.status),
            word(object, ConditionType::Ready, |condition| &condition.reason),
        ]
    };
    let lines = table(&["name", "connection", "ready", "synced", "reason"], objects.iter().map(row));
    let styles = objects
        .iter()
        .map(|object| if word(object, ConditionType::Ready, |condition| &condition.status) == "True" { style::GOOD } else { style::BAD });
    let styles = std::iter::once(style::DIM).chain(styles);
    lines.lines().zip(styles).flat_map(|(line, style)| ["   ".to_owned(), paint(style, line), "\n".to_owned()]).collect()
}

/// Each object that was not accepted, with the operator's own words.
fn refused(objects: &[UpstreamParams]) -> String {
    let line = |object: &UpstreamParams| {
        let refusal = condition(object, ConditionType::Accepted).filter(|condition| condition.status == "False")?;
        Some(wrapped(&format!("{}: {}", object.name_any(), printable(&refusal.message))))
    };
    objects.iter().filter_map(line).collect()
}

pub(super) fn condition(object: &UpstreamParams, kind: ConditionType) -> Option<&Condition> {
    object.status.as_ref()?.conditions.iter().find(|condition| condition.type_ == kind.as_str())
}

/// The parameters of a connection at two moments, as a diff.
fn difference(before: &Connection, after: &Connection) -> String {
    let (old, new) = (&before.params, &after.params);
    let names: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let mut text = String::new();
    let mut add = |style: Style, mark: char, name: &String, param: &Value| {
        let _ = writeln!(text, "     {}", paint(style, format!("{mark} {}", printable(&shown(name, param)))));
    };
    for name in names {
        match (old.get(name), new.get(name)) {
            (Some(old), Some(new)) if old == new => add(style::DIM, ' ', name, new),
            (old, new) => {
                if let Some(old) = old {
                    add(style::BAD, '-', name, old);
                }
                if let Some(new) = new {
                    add(style::GOOD, '+', name, new);
                }
            }
        }
    }
    text
}

/// What has to arrive at the identity provider.
fn arriving(expected: &Expected) -> Vec<(String, String)> {
    let sent = |alias: &str| SENT.iter().find(|(name, _)| *name == alias).map(|(_, value)| (*value).to_owned());
    let value = |param: &Value| match (param["value"].as_str(), param["alias"].as_str()) {
        (Some(value), _) => Some(value.to_owned()),
        (_, Some(alias)) => sent(alias),
        _ => None,
    };
    let params = expected.params.as_object().into_iter().flatten();
    params.filter_map(|(name, param)| Some((name.clone(), value(param)?))).collect()
}

/// Running text, indented, in lines of at most [`WIDTH`].
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => word.clone_into(line),
            Some(line) if line.len() + word.len() < WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.iter().flat_map(|line| ["   ", line.as_str(), "\n"]).collect()
}

/// How to look around.
pub(super) fn invitation(stage: &Stage) -> String {
    let (kubeconfig, http) = (stage.kubeconfig().display(), stage.http);
    let kubectl = stage.kubectl().map_or_else(String::new, |path| format!("   alias kubectl={}\n", path.display()));
    let title = paint(style::TITLE, "It stays up until you press Ctrl-C. Look around in another terminal:");
    format!(
        r#"
{title}

   export KUBECONFIG={kubeconfig}
{kubectl}   kubectl get uparams -n {NAMESPACE} --watch
   kubectl patch uparams wordpress-blog -n {NAMESPACE} --type merge -p '{{"spec":{{"params":{{"blog":{{"value":"another.wordpress.com"}}}}}}}}'
   kubectl delete uparams contoso-accounts -n {NAMESPACE}     # its parameters go, the rest of the connection stays
   kubectl describe uparams legacy-saml -n {NAMESPACE}
   curl http://{http}/metrics     # and /readyz

The tenant {DOMAIN} is at {url}. Here, type drift to play the colleague again, or show to see the connections.
"#,
        url = stage.emulator.url(),
    )
}

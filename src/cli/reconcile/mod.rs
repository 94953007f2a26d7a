//! `reconcile`: has the operator look now, waits, and says how it ended.
//!
//! Guarantees: of the objects one annotation is set, and nothing else is written anywhere; what is said was concluded after that.

mod report;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::anyhow;
use jiff::Timestamp;
use kube::Client;

use self::report::{Answer, Item};
use super::cluster::ClusterArguments;
use super::exit::Exit;
use super::output::{self, Format};
use super::runtime::{LogArguments, timeout};
use super::status::gather::{self, Scope};
use super::status::render;
use super::status::report::{ObjectReport, OperatorReport, TenantReport};
use super::status::wait::{EVENTS_AFTER, PAUSES};
use crate::clock::{self, WallClock};
use crate::core::world::{Declared, DeclaredTenant};
use crate::kubernetes::ask;
use crate::kubernetes::snapshot::{self, Unread};
use crate::model::identity::ObjectKey;

/// Up to how many objects are read one by one, and with their events.
const ONE_BY_ONE: usize = 10;

/// Flags of `reconcile`.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("which").required(true).args(["objects", "all", "tenant"]))]
pub(super) struct Arguments {
    /// The objects to look at now, as NAME or NAMESPACE/NAME.
    #[arg(value_name = "OBJECT")]
    objects: Vec<String>,

    /// All objects of the namespace.
    #[arg(long)]
    all: bool,

    /// Everything of this `ClusterAuth0Tenant`: credentials that are not accepted are tried once, and every object is looked at.
    #[arg(long, value_name = "NAME", conflicts_with = "namespace")]
    tenant: Option<String>,

    /// The namespace [default: that of the kubeconfig's context].
    #[arg(short, long)]
    namespace: Option<String>,

    /// Only ask, and do not wait for the look.
    #[arg(long)]
    no_wait: bool,

    /// How long to wait at most, such as 90s or 5m.
    #[arg(long, default_value = "60s", value_parser = timeout)]
    timeout: Duration,

    /// How it is printed.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,

    #[command(flatten)]
    cluster: ClusterArguments,

    #[command(flatten)]
    log: LogArguments,
}

/// What there is to ask about, and by what.
struct Request<'a> {
    client: Client,
    arguments: &'a Arguments,
    /// The value of the annotation.
    by: String,
    since: Timestamp,
}

/// Asks, and prints how it ended. Ends with 1 where not all is ready.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let answer = arguments.log.block_on(async {
        let since = WallClock::system().now_in_seconds();
        // Two who ask in the same second ask for two looks.
        let by = format!("{since}-{:08x}", fastrand::u32(..));
        let request = Request { client: arguments.cluster.client().await?, arguments, by, since };
        match &arguments.tenant {
            Some(name) => request.tenant(name).await,
            None => request.objects().await,
        }
    })?;
    if let Some(machine) = arguments.output.machine() {
        output::print_value(&answer, machine)?;
    } else {
        output::print(&answer.text(WallClock::system().now_in_seconds()))?;
        answer.notes.iter().for_each(|note| output::say(&output::printable(note)));
    }
    Ok(if arguments.no_wait || answer.is_well() { Exit::Fine } else { Exit::Wrong })
}

impl Request<'_> {
    async fn objects(&self) -> anyhow::Result<Answer> {
        let client = &self.client;
        let namespace = self.arguments.namespace.clone().unwrap_or_else(|| client.default_namespace().to_owned());
        let scope = Scope::of(&self.arguments.objects, &namespace)?;
        // All are there before any is asked about.
        let found = gather::some(gather::objects(client, &scope).await?, &scope)?;
        let mut left: BTreeSet<ObjectKey> = found.into_iter().map(|object| object.key).collect();
        for key in &left {
            ask::object(client, key, &self.by)
                .await
                .map_err(|unread| refused("upstreamparams", &key.to_string(), &key.namespace, &unread))?;
        }
        let mut answer = Answer::new(&self.by, self.arguments.no_wait, self.arguments.timeout);
        if self.arguments.no_wait {
            answer.items = left.iter().map(Item::asked).collect();
            return Ok(answer);
        }
        answer.operator = self.who_serves(&mut answer.notes).await;
        let mut done: Vec<Declared> = Vec::new();
        let handled = |object: &Declared| object.status.last_handled_reconcile_at.as_deref() == Some(self.by.as_str());
        let begin = clock::now();
        let mut pause = PAUSES[0];
        loop {
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(PAUSES[1]);
            let is_over = clock::since(begin) >= self.arguments.timeout;
            let found = match self.found(&left).await {
                // An API server that is away for a moment ends no wait.
                Err(_) if !is_over => continue,
                found => found?,
            };
            answer.note_gone(&mut left, &found);
            for object in found {
                if handled(&object) || is_over {
                    left.remove(&object.key);
                    done.push(object);
                }
            }
            if left.is_empty() {
                break;
            }
        }
        tokio::time::sleep(EVENTS_AFTER).await;
        let tenants = gather::tenants(client, &mut answer.notes).await;
        let now = WallClock::system().now_in_seconds();
        for object in &done {
            let mut report = ObjectReport::of(object, &tenants, now);
            if done.len() <= ONE_BY_ONE {
                report.events = gather::events(client, object, &mut answer.notes).await;
            }
            report.events.retain(|event| event.at.is_some_and(|at| at >= self.since));
            answer.items.push(Item::object(report, handled(object)));
        }
        answer.items.sort_by_key(Item::place);
        Ok(answer)
    }

    /// Those that are still waited for, as they are now. One that is gone is waited for no more.
    async fn found(&self, left: &BTreeSet<ObjectKey>) -> anyhow::Result<Vec<Declared>> {
        let mut found = Vec::new();
        if left.len() <= ONE_BY_ONE {
            for key in left {
                match snapshot::object(&self.client, key).await {
                    Ok(object) => found.push(object),
                    Err(Unread::Absent(_)) => {}
                    Err(unread) => return Err(anyhow!("can't read {key}: {}", unread.message())),
                }
            }
        } else {
            let namespaces: BTreeSet<&String> = left.iter().map(|key| &key.namespace).collect();
            for namespace in namespaces {
                let listed = gather::objects(&self.client, &Scope::Namespace(namespace.clone())).await?;
                found.extend(listed.into_iter().filter(|object| left.contains(&object.key)));
            }
        }
        Ok(found)
    }

    async fn tenant(&self, name: &str) -> anyhow::Result<Answer> {
        let client = &self.client;
        ask::tenant(client, name, &self.by).await.map_err(|unread| refused("clusterauth0tenants", name, "", &unread))?;
        let mut answer = Answer::new(&self.by, self.arguments.no_wait, self.arguments.timeout);
        if self.arguments.no_wait {
            answer.items.push(Item::asked_tenant(name));
            return Ok(answer);
        }
        answer.operator = self.who_serves(&mut answer.notes).await;
        let handled = |tenant: &DeclaredTenant| tenant.status.last_handled_reconcile_at.as_deref() == Some(self.by.as_str());
        let begin = clock::now();
        let mut pause = PAUSES[0];
        let tenant = loop {
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(PAUSES[1]);
            let is_over = clock::since(begin) >= self.arguments.timeout;
            let tenant = match snapshot::tenant(client, name).await {
                Err(Unread::Other(_)) if !is_over => continue,
                tenant => tenant.map_err(|unread| anyhow!("can't read the ClusterAuth0Tenant {name}: {}", unread.message()))?,
            };
            if handled(&tenant) || is_over {
                break tenant;
            }
        };
        answer.items.push(Item::tenant(TenantReport::of(&tenant), handled(&tenant)));
        let now = WallClock::system().now_in_seconds();
        let tenants = BTreeMap::from([(name.to_owned(), TenantReport::of(&tenant))]);
        match snapshot::objects(client, None).await {
            Ok(all) => {
                let own = all.iter().filter(|object| object.policies.tenant == name).map(|object| ObjectReport::of(object, &tenants, now));
                answer.objects = Some(super::status::report::Report::of(own.collect(), [], OperatorReport::default(), Vec::new()));
            }
            Err(unread) => answer.notes.push(format!("how the objects of the tenant stand is not known: {}", unread.message())),
        }
        Ok(answer)
    }

    /// Which operator is waited for. That there is none is said at once.
    async fn who_serves(&self, notes: &mut Vec<String>) -> OperatorReport {
        let operator = gather::operator(&self.client, self.since, notes).await;
        if operator.known && operator.holder.is_none() && self.arguments.output.machine().is_none() {
            output::say(&format!(
                "{}waiting for one all the same, for {} s",
                render::operator(&operator),
                self.arguments.timeout.as_secs()
            ));
        }
        operator
    }
}

/// Why a look could not be asked for, in one line.
fn refused(resource: &str, name: &str, namespace: &str, unread: &Unread) -> anyhow::Error {
    let name = output::printable(name);
    match unread {
        Unread::Forbidden(message) => {
            let within = if namespace.is_empty() { String::new() } else { format!(" in the namespace {namespace}") };
            anyhow!(
                "you may not ask for a look at {name}: it takes the right to patch {resource}{within}, as the role edit has for objects ({message})"
            )
        }
        Unread::Absent(_) if namespace.is_empty() => {
            anyhow!("there is no ClusterAuth0Tenant {name}, or the cluster does not know that kind: see kubectl get clusterauth0tenants")
        }
        Unread::Absent(_) => anyhow!("there is no UpstreamParams {name} any more"),
        Unread::Other(message) => anyhow!("can't ask for a look at {name}: {message}"),
    }
}

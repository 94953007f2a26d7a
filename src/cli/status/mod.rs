//! `status`: how objects and their tenants stand, and what to do.
//!
//! Guarantees: nothing is written; what may not be read is said, and is no error, but for the objects themselves. A wait ends with
//! whatever the operator says, well or not.

pub(super) mod gather;
pub(super) mod render;
pub(super) mod report;
#[cfg(test)]
mod tests;
pub(super) mod wait;

use std::time::Duration;

use anyhow::bail;

use self::gather::{Scope, gather};
use self::report::Report;
use super::cluster::ClusterArguments;
use super::exit::Exit;
use super::output::{self, Format};
use super::runtime::{LogArguments, timeout};
use crate::api::rules;
use crate::clock::WallClock;

/// Flags of `status`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The objects to tell all about, as NAME or NAMESPACE/NAME; without one, a table of all, those in trouble first.
    #[arg(value_name = "OBJECT", conflicts_with = "all_namespaces")]
    objects: Vec<String>,

    /// The namespace [default: that of the kubeconfig's context].
    #[arg(short, long)]
    namespace: Option<String>,

    /// The objects of all namespaces.
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    all_namespaces: bool,

    /// End with 3 where not all objects are ready.
    #[arg(long)]
    exit_code: bool,

    /// First wait until the operator has said how they stand, well or not, for 60s at most, or as long as this says. Then end as with
    /// --exit-code; with 1 where it has said nothing until then.
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "60s", value_parser = timeout)]
    wait: Option<Duration>,

    /// How it is printed.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,

    #[command(flatten)]
    cluster: ClusterArguments,

    #[command(flatten)]
    log: LogArguments,
}

/// Prints how they stand.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let (report, is_told) = arguments.log.block_on(async {
        let client = arguments.cluster.client().await?;
        let namespace = arguments.namespace.clone().unwrap_or_else(|| client.default_namespace().to_owned());
        let scope = if arguments.all_namespaces { Scope::All } else { Scope::of(&arguments.objects, &namespace)? };
        let is_told = match arguments.wait {
            Some(within) => wait::until_told(&client, &scope, within).await?,
            None => true,
        };
        let mut report = gather(&client, &scope, WallClock::system().now_in_seconds()).await?;
        if let Some(within) = arguments.wait.filter(|_| !is_told) {
            report.notes.push(format!("the operator has not said within {} s how all of them stand", within.as_secs()));
        }
        anyhow::Ok((report, is_told))
    })?;
    let now = WallClock::system().now_in_seconds();
    if let Some(machine) = arguments.output.machine() {
        output::print_value(&report, machine)?;
    } else {
        output::print(&text(&report, !arguments.objects.is_empty(), now))?;
        report.notes.iter().for_each(|note| output::say(&output::printable(note)));
    }
    let all_ready = report.counts.ready == report.counts.objects;
    let asks = arguments.exit_code || arguments.wait.is_some();
    Ok(if !is_told {
        Exit::Wrong
    } else if asks && !all_ready {
        Exit::Differs
    } else {
        Exit::Fine
    })
}

fn text(report: &Report, named: bool, now: jiff::Timestamp) -> String {
    if !named {
        return render::all(report, now);
    }
    let tenant = |name: &str| report.tenants.iter().find(|tenant| tenant.name == *name);
    let each: Vec<String> = report.objects.iter().map(|object| render::one(object, tenant(&object.tenant), now)).collect();
    format!("{}{}", each.join("\n"), render::operator(&report.operator))
}

/// An object as it is named on the command line: NAME or NAMESPACE/NAME.
pub(super) fn key(text: &str, namespace: &str) -> anyhow::Result<crate::model::identity::ObjectKey> {
    let (namespace, name) = text.split_once('/').unwrap_or((namespace, text));
    if !rules::is_dns_subdomain(namespace) || !rules::is_dns_subdomain(name) {
        bail!("{}: name an object as NAME or NAMESPACE/NAME; a name has lower-case letters, digits, '-' and '.'", output::printable(text));
    }
    Ok(crate::model::identity::ObjectKey { namespace: namespace.to_owned(), name: name.to_owned() })
}

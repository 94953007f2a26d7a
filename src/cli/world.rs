//! The cluster as commands read it: once, into the world that the operator decides from.
//!
//! Guarantees: nothing is written; of Secrets only those are read that tenants name, and only where that is asked for. What may
//! not be read is one line that says which right is missing. Labels of namespaces that may not be read are unknown, which is said.

#![allow(clippy::doc_markdown, reason = "the comments are what --help prints, as plain text")]

use std::collections::BTreeSet;

use anyhow::anyhow;

use super::cluster::ClusterArguments;
use crate::core::world::{Kind, World};
use crate::kubernetes::snapshot::{self, Unread};

/// Which cluster, and where in it the operator is.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Cluster")]
pub(super) struct WorldArguments {
    #[command(flatten)]
    pub(super) cluster: ClusterArguments,

    /// The namespace of the operator, which has the Secrets of tenants.
    #[arg(long, env = "UPO_NAMESPACE", default_value = "upstream-params-operator")]
    pub(super) operator_namespace: String,
}

/// What of a cluster is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// The objects of this namespace, or all.
    pub(super) objects: Option<&'a str>,
    /// Whose Secrets.
    pub(super) secrets: Secrets<'a>,
    /// Namespaces whose labels are asked for one by one where namespaces may not be listed.
    pub(super) namespaces: &'a [&'a str],
}

/// The Secrets of which tenants are wanted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Secrets<'a> {
    /// None: the credentials are from elsewhere.
    None,
    /// Of this one.
    Of(&'a str),
    /// Of all.
    All,
}

/// A cluster, read.
#[derive(Debug)]
pub(super) struct ClusterView {
    /// What it declares. What could not be read is not in it.
    pub(super) world: World,
    /// What is not known, in sentences for whoever gave the command.
    pub(super) notes: Vec<String>,
}

/// Reads a cluster. `operator_namespace` is where the Secrets are.
pub(super) async fn read(client: &kube::Client, operator_namespace: &str, wanted: Wanted<'_>) -> anyhow::Result<ClusterView> {
    let mut view = ClusterView { world: World::default(), notes: Vec::new() };
    let tenants = snapshot::tenants(client).await.map_err(|unread| refused("list", "clusterauth0tenants", "", &unread))?;
    let named: BTreeSet<String> = tenants
        .iter()
        .filter(|tenant| match wanted.secrets {
            Secrets::None => false,
            Secrets::Of(name) => tenant.name == name,
            Secrets::All => true,
        })
        .filter_map(|tenant| tenant.spec.as_ref().map(|spec| spec.credentials.secret_ref.name.clone()))
        .collect();
    view.world.list_tenants(tenants);
    view.world.listed(Kind::Tenant);
    for name in named.iter().filter(|name| !name.is_empty()) {
        let within = format!(" {name} in the namespace {operator_namespace}");
        let secret = snapshot::secret(client, operator_namespace, name).await;
        if let Some(secret) = secret.map_err(|unread| refused("get", "the Secret", &within, &unread))? {
            view.world.apply_secret(name.clone(), secret);
        }
    }
    view.world.listed(Kind::Secret);
    view.read_namespaces(client, wanted).await?;
    let within = wanted.objects.map(|namespace| format!(" in the namespace {namespace}")).unwrap_or_default();
    let objects = snapshot::objects(client, wanted.objects).await;
    view.world.list_objects(wanted.objects, objects.map_err(|unread| refused("list", "upstreamparams", &within, &unread))?);
    view.world.listed(Kind::Object);
    Ok(view)
}

impl ClusterView {
    /// Labels of namespaces decide about access. Developers often may not list namespaces, and see their own at best.
    async fn read_namespaces(&mut self, client: &kube::Client, wanted: Wanted<'_>) -> anyhow::Result<()> {
        match snapshot::namespaces(client).await {
            Ok(namespaces) => {
                self.world.list_namespaces(namespaces);
                self.world.listed(Kind::Namespace);
            }
            Err(Unread::Forbidden(_)) => {
                let mut unknown = Vec::new();
                for name in wanted.objects.iter().chain(wanted.namespaces).collect::<BTreeSet<_>>() {
                    match snapshot::namespace(client, name).await {
                        Ok((name, labels)) => drop(self.world.apply_namespace(name, labels)),
                        Err(Unread::Forbidden(_) | Unread::Absent(_)) => unknown.push(*name),
                        Err(unread) => return Err(refused("get", "the namespace", &format!(" {name}"), &unread)),
                    }
                }
                let which = if unknown.is_empty() { "others".to_owned() } else { unknown.join(", ") };
                self.notes.push(format!(
                    "the labels of namespaces are not known ({which}), because you may not list namespaces, so access was not checked"
                ));
            }
            Err(unread) => return Err(refused("list", "namespaces", "", &unread)),
        }
        Ok(())
    }
}

/// Whose right is missing to do what, in one line.
fn refused(verb: &str, what: &str, within: &str, unread: &Unread) -> anyhow::Error {
    let message = unread.message();
    match unread {
        Unread::Forbidden(_) => anyhow!("you may not {verb} {what}{within}; ask for that right ({message})"),
        Unread::Absent(_) | Unread::Other(_) => anyhow!("can't {verb} {what}{within}: {message}"),
    }
}

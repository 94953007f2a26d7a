//! Which tenant a command reads: one that the environment names, or one of the cluster's.
//!
//! Guarantees: with credentials in the environment no Secret is read; a `ClusterAuth0Tenant` is never mixed up with credentials of
//! another tenant.

#![allow(clippy::doc_markdown, reason = "the comments are what --help prints, as plain text")]

use std::sync::Arc;

use anyhow::bail;

use super::auth0::{self, CredentialArguments, TenantReader};
use super::tenants::ReachArguments;
use super::world::{self, ClusterView, Secrets, Wanted, WorldArguments};
use crate::core::tenant::TenantSettings;
use crate::core::world::{Connection, Declared};
use crate::model::document::Document;

/// Which tenant is read, and with what.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct SourceArguments {
    /// The ClusterAuth0Tenant to read, with the credentials of its Secret, or with AUTH0_... if they are set [default: the tenant
    /// in AUTH0_DOMAIN, without a cluster].
    #[arg(long)]
    pub(super) tenant: Option<String>,

    #[command(flatten)]
    credentials: CredentialArguments,

    #[command(flatten)]
    world: WorldArguments,

    #[command(flatten)]
    reach: ReachArguments,
}

/// A tenant that can be read, and what the cluster says of it.
#[derive(Debug)]
pub(super) struct Source {
    /// Reads it.
    pub(super) reader: TenantReader,
    /// The cluster's side, where one was asked.
    pub(super) cluster: Option<ClusterSide>,
}

/// What a cluster says of a tenant.
#[derive(Debug)]
pub(super) struct ClusterSide {
    /// The name of its ClusterAuth0Tenant.
    pub(super) name: String,
    /// What that amounts to.
    pub(super) settings: TenantSettings,
    /// All that was read.
    pub(super) view: ClusterView,
    /// The namespace of the kubeconfig's context.
    pub(super) default_namespace: String,
}

impl SourceArguments {
    /// The tenant; of the cluster the objects of one namespace or of all, and the labels at least of this namespace, or else of the
    /// context's.
    pub(super) async fn open(&self, objects: Option<&str>, labels_of: Option<&str>) -> anyhow::Result<Source> {
        let reach = self.reach.clone().reach()?;
        let Some(name) = &self.tenant else {
            return Ok(Source { reader: self.credentials.reader(&reach)?, cluster: None });
        };
        let client = self.world.cluster.client().await?;
        let default_namespace = client.default_namespace().to_owned();
        let own_credentials = self.credentials.are_given();
        let secrets = if own_credentials { Secrets::None } else { Secrets::Of(name) };
        let namespace = &self.world.operator_namespace;
        let mut view =
            world::read(&client, namespace, Wanted { objects, secrets, namespaces: &[labels_of.unwrap_or(&default_namespace)] }).await?;
        if own_credentials && let Some(spec) = view.world.tenant(name).and_then(|tenant| tenant.spec.clone()) {
            view.world.apply_secret(spec.credentials.secret_ref.name, self.credentials.as_secret()?);
        }
        let settings = auth0::settings(&view.world, name, namespace, &reach)?;
        let reader = if own_credentials { self.credentials.reader(&reach)? } else { self.credentials.reader_of(&settings, &reach) };
        if reader.identity() != settings.audience.identity() {
            bail!(
                "--tenant: {name} is for {}, and the credentials in the environment are for {}; unset AUTH0_DOMAIN, AUTH0_CLIENT_ID and AUTH0_CLIENT_SECRET, or set those of {name}",
                settings.audience.identity(),
                reader.identity()
            );
        }
        Ok(Source { reader, cluster: Some(ClusterSide { name: name.clone(), settings, view, default_namespace }) })
    }
}

impl ClusterSide {
    /// The objects that a connection concerns, by their keys.
    pub(super) fn concerned(&self, document: &Document) -> Vec<Arc<Declared>> {
        self.view.world.concerned(&self.connection(document))
    }

    /// The connection, as objects name it.
    pub(super) fn connection<'a>(&'a self, document: &'a Document) -> Connection<'a> {
        let identity = Some(self.settings.audience.identity());
        Connection { tenant: &self.name, identity, id: Some(&document.id), name: Some(&document.name) }
    }
}

//! `verify`: whether declared parameters really arrive at the identity provider.
//!
//! Guarantees: nobody is logged in, and no secret is needed; nothing is sent to any other host than the tenant's own, and the
//! identity provider never hears of it; what is printed holds neither the address of the request nor what is in it for the login.

#![allow(clippy::doc_markdown, reason = "the comments are what --help prints, as plain text")]

mod compare;
mod probe;
mod walk;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use reqwest::Url;

use self::compare::Found;
use self::probe::Expected;
use self::walk::{End, MAX_STEPS, walk};
use super::exit::Exit;
use super::files;
use super::output::{self, Format};
use super::runtime::LogArguments;
use super::tenants::ReachArguments;
use super::world::{self, Secrets, Wanted, WorldArguments};
use crate::api::upstream_params::ConnectionStatus;
use crate::auth0::{Browser, Failure};
use crate::core::spec::{self, Spec, Target};
use crate::core::world::{Declared, World};
use crate::model::document::Entry;
use crate::model::domain::Domain;

/// Flags of `verify`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
#[command(group = clap::ArgGroup::new("declared").required(true).multiple(true))]
pub(super) struct Arguments {
    /// The name of the connection.
    connection: String,

    /// The client id of an application that people log in to and that has the connection enabled. Not the operator's own.
    #[arg(long)]
    client_id: String,

    /// One of the application's Allowed Callback URLs. The command does not call it.
    #[arg(long)]
    redirect_uri: String,

    /// The tenant's host name, or its custom domain [default: that of --tenant].
    #[arg(long, env = "AUTH0_DOMAIN", hide_env_values = true)]
    domain: Option<String>,

    /// A parameter that the application sends, such as login_hint=me@example.com [default: a test value for each expected alias].
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,

    /// Expect what UpstreamParams in this file or folder (- for standard input) declare for the connection.
    #[arg(long, value_name = "FILE", group = "declared")]
    from: Vec<PathBuf>,

    /// Expect what UpstreamParams in the cluster with this ClusterAuth0Tenant declare.
    #[arg(long, group = "declared")]
    tenant: Option<String>,

    /// Expect this parameter with this value.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair, group = "declared")]
    expect: Vec<(String, String)>,

    /// Read UpstreamParams in this namespace only, if you may not list all namespaces.
    #[arg(short, long, requires = "tenant")]
    namespace: Option<String>,

    /// The output format.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,

    #[command(flatten)]
    world: WorldArguments,

    #[command(flatten)]
    reach: ReachArguments,

    #[command(flatten)]
    log: LogArguments,
}

const HELP: &str = "\
The command starts a login as a browser does, and reads the redirect to the identity provider without following it. Nobody logs
in, and the provider notices nothing. It exits with 0 if each declared parameter is in the redirect as declared, and with 1 if
not. It sends a test value for each alias; audience, resource and id_token_hint need a --set.

  upstream-params-operator verify google-oauth2 --domain example.eu.auth0.com --client-id APP \\
    --redirect-uri https://app.example.com/callback --from manifests/";

/// `NAME=VALUE`
fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        Some(_) | None => Err("write NAME=VALUE".to_owned()),
    }
}

/// Walks, and prints what arrived.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let found = arguments.log.block_on(found(arguments))?;
    if let Some(machine) = arguments.output.machine() {
        output::print_value(&found, machine)?;
    } else {
        output::print(&found.text())?;
        for note in found.notes() {
            output::say(&output::printable(note));
        }
    }
    Ok(if found.is_fine() { Exit::Fine } else { Exit::Wrong })
}

async fn found(arguments: &Arguments) -> anyhow::Result<Found> {
    let callback = Url::parse(&arguments.redirect_uri)
        .ok()
        .context("--redirect-uri: write a whole address, such as https://app.example.com/callback")?;
    let mut expected = from_files(arguments)?;
    let cluster = from_cluster(arguments).await?;
    let mut domain = arguments.domain.as_deref().map(str::trim).filter(|domain| !domain.is_empty()).map(str::to_owned);
    if let Some((declared, of_tenant)) = cluster {
        for (name, one) in declared {
            expected.entry(name).or_insert(one);
        }
        domain = domain.or(Some(of_tenant));
    }
    for (name, value) in &arguments.expect {
        expected.insert(name.clone(), Expected { entry: Entry::Value(value.clone()), by: "--expect".to_owned() });
    }
    if expected.is_empty() {
        bail!(
            "nothing declares a parameter of the connection {}; objects that name it by its id count only with --tenant",
            arguments.connection
        );
    }
    let domain = domain.context("no tenant: give --domain (or AUTH0_DOMAIN), or --tenant")?;
    let domain = Domain::parse(&domain).context("--domain (or AUTH0_DOMAIN)")?;
    let given: BTreeMap<String, String> = arguments.set.iter().cloned().collect();
    let sent = probe::request(&arguments.connection, (&arguments.client_id, &arguments.redirect_uri), &given, &expected);
    let mut first = Url::parse(&format!("https://{domain}/authorize")).context("--domain")?;
    first.query_pairs_mut().extend_pairs(&sent);
    let mut browser = Browser::new(arguments.reach.clone().reach()?.transport, domain.clone());
    let (end, steps) = walk(&mut browser, first, &domain, &callback).await.map_err(|failure| explained(&domain, &failure))?;
    tracing::debug!(%domain, steps, "walked");
    let provider = provider(end, &domain, arguments)?;
    Ok(Found::new((&arguments.connection, domain.as_str()), &provider, &expected, &sent))
}

/// The request at the end of a walk, or why there is none.
fn provider(end: End, domain: &Domain, arguments: &Arguments) -> anyhow::Result<Url> {
    let connection = &arguments.connection;
    match end {
        End::Provider(url) => Ok(url),
        End::Error { code, description } => {
            let said = if description.is_empty() { String::new() } else { format!(" ({})", output::printable(&description)) };
            bail!(
                "{domain} refused the login with {}{said}; check that the tenant has the connection {connection}, and that it is enabled for the application {}",
                output::printable(&code),
                arguments.client_id
            )
        }
        End::Callback => bail!("{domain} redirected to the application, and not to an identity provider"),
        End::Page { status, path, about } => {
            let about = about.map(|about| format!(": {about}")).unwrap_or_default();
            bail!("{domain} answered with a page ({status}, {}) and no redirect to an identity provider{about}", output::printable(&path))
        }
        End::Endless => bail!("{domain} redirected to itself {MAX_STEPS} times, and never to an identity provider"),
    }
}

#[allow(clippy::wildcard_enum_match_arm, reason = "what is not put in other words here says itself what to do")]
fn explained(domain: &Domain, failure: &Failure) -> anyhow::Error {
    match failure {
        Failure::DomainNotAllowed { .. } => anyhow!("{domain} is not in --allowed-domains; add it there"),
        other => anyhow!("{domain}: {}", other.message().trim_end_matches("; the operator tries again")),
    }
}

/// What files declare for the connection. Where two declare one parameter, the first counts.
fn from_files(arguments: &Arguments) -> anyhow::Result<BTreeMap<String, Expected>> {
    let mut expected = BTreeMap::new();
    if arguments.from.is_empty() {
        return Ok(expected);
    }
    let files = files::read(&arguments.from);
    files.complete()?;
    for document in files.documents.iter().filter(|document| document.kind == "UpstreamParams") {
        let name = document.name.as_deref().unwrap_or_default();
        let by = document.namespace.as_ref().map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}"));
        let spec = document.value.get("spec").unwrap_or(&serde_json::Value::Null);
        let spec = spec::spec(spec).map_err(|refusal| anyhow!("--from: {by}: {refusal}"))?;
        if matches!(&spec.target, Target::Name(name) if **name == *arguments.connection) {
            expect(&mut expected, &spec, &by);
        }
    }
    Ok(expected)
}

/// What objects of the cluster declare for the connection, and the domain of their tenant. Where two declare one parameter, the
/// older counts, as it does for the operator.
async fn from_cluster(arguments: &Arguments) -> anyhow::Result<Option<(BTreeMap<String, Expected>, String)>> {
    let Some(tenant) = &arguments.tenant else { return Ok(None) };
    let client = arguments.world.cluster.client().await?;
    let wanted = Wanted { objects: arguments.namespace.as_deref(), secrets: Secrets::None, namespaces: &[] };
    let world = world::read(&client, &arguments.world.operator_namespace, wanted).await?.world;
    let declared = world.tenant(tenant).with_context(|| format!("--tenant: there is no ClusterAuth0Tenant {tenant}"))?;
    let domain = declared.spec.as_ref().map(|spec| spec.domain.clone());
    let domain = domain.with_context(|| format!("--tenant: the spec of the ClusterAuth0Tenant {tenant} cannot be read"))?;
    let mut expected = BTreeMap::new();
    for object in naming(&world, tenant, &arguments.connection) {
        if let Ok(spec) = &object.spec {
            expect(&mut expected, spec, &object.key.to_string());
        }
    }
    Ok(Some((expected, domain)))
}

/// The objects of a tenant that name a connection, by its name or by an id that was seen to have it, the oldest first.
fn naming<'a>(world: &'a World, tenant: &str, connection: &str) -> Vec<&'a Declared> {
    let objects = || world.objects_of(tenant).map(AsRef::as_ref).filter(|object: &&Declared| !object.deleting);
    let is_it = |object: &&Declared| match object.spec.as_ref().map(|spec| &spec.target) {
        Ok(Target::Name(name)) => **name == *connection,
        Ok(Target::Id(id)) => {
            let here = |entry: &&ConnectionStatus| *entry.id == **id;
            object.status.connections.iter().filter(here).any(|entry| entry.name.as_deref() == Some(connection))
        }
        Err(_) => false,
    };
    let mut found: Vec<&Declared> = objects().filter(is_it).collect();
    found.sort_by_key(|object| (object.created, object.key.clone()));
    found
}

fn expect(expected: &mut BTreeMap<String, Expected>, spec: &Spec, by: &str) {
    for (name, entry) in &spec.params {
        expected.entry(name.clone()).or_insert_with(|| Expected { entry: entry.clone(), by: by.to_owned() });
    }
}

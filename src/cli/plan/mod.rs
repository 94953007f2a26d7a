//! `plan`: what the operator would change at the tenant, and what it would say of each object.
//!
//! Guarantees: nothing is written, neither at Auth0 nor to the cluster; the read scopes are enough; what is decided is decided by
//! `core::dry_run`, which is the operator's own decisions. Of the options of a connection nothing is shown but upstream parameters.

mod declare;
mod human;
mod markdown;
mod report;

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::bail;

use self::declare::{Given, declare};
use self::report::{Report, TenantPlan};
use super::auth0::{CredentialArguments, TenantReader};
use super::exit::Exit;
use super::files;
use super::output::{self, MachineFormat};
use super::runtime::LogArguments;
use super::tenants::{Reach, ReachArguments};
use super::world::{self, ClusterView, Secrets, Wanted, WorldArguments};
use crate::clock::WallClock;
use crate::core::dry_run::dry_run;
use crate::core::tenant::{Resolution, TenantSettings, resolve};
use crate::core::world::World;
use crate::model::domain::{Audience, Domain};

/// How a plan is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum PlanFormat {
    /// Text for people.
    #[default]
    Human,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// Markdown, for a comment on a pull request.
    Markdown,
}

/// Flags of `plan`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Manifests to plan as if they were applied: files, folders, or - for standard input [default: what the cluster has].
    #[arg(value_name = "FILE|DIR|-")]
    files: Vec<PathBuf>,

    /// Use no cluster: plan the files alone, for the tenant in AUTH0_DOMAIN. The plan then does not know what objects own. It
    /// checks access only if the files have the ClusterAuth0Tenant and the namespaces.
    #[arg(long, requires = "files")]
    no_cluster: bool,

    /// The namespace of manifests without one [default: that of the context, or default].
    #[arg(short, long)]
    namespace: Option<String>,

    /// Plan this ClusterAuth0Tenant only.
    #[arg(long)]
    tenant: Option<String>,

    /// Exit with 3 if the operator would write anything.
    #[arg(long)]
    exit_code: bool,

    /// The output format. It shows values of upstream parameters, which are public, and no other options.
    #[arg(short, long, value_enum, default_value_t)]
    output: PlanFormat,

    #[command(flatten)]
    credentials: CredentialArguments,

    #[command(flatten)]
    world: WorldArguments,

    #[command(flatten)]
    reach: ReachArguments,

    #[command(flatten)]
    log: LogArguments,
}

/// Plans and prints. Objects that were given and would not be ready make it end with 1.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let report = arguments.log.block_on(report(arguments))?;
    match arguments.output {
        PlanFormat::Human => output::print(&human::text(&report))?,
        PlanFormat::Json => output::print_value(&report, MachineFormat::Json)?,
        PlanFormat::Yaml => output::print_value(&report, MachineFormat::Yaml)?,
        PlanFormat::Markdown => output::print(&markdown::text(&report))?,
    }
    Ok(if !report.is_fine() {
        Exit::Wrong
    } else if arguments.exit_code && report.differs() {
        Exit::Differs
    } else {
        Exit::Fine
    })
}

async fn report(arguments: &Arguments) -> anyhow::Result<Report> {
    let files = files::read(&arguments.files);
    files.complete()?;
    let reach = arguments.reach.clone().reach()?;
    let now = WallClock::system().now_in_seconds();
    let (ClusterView { mut world, mut notes }, namespace) = arguments.view(&files).await?;
    let has_cluster = !arguments.no_cluster;
    let given = declare(&mut world, &files, &namespace, now, has_cluster)?;
    if has_cluster || !given.tenants.is_empty() {
        notes.extend(given.notes.iter().cloned());
    }
    let with_files = !arguments.files.is_empty();
    if with_files && given.objects.is_empty() && given.tenants.is_empty() {
        bail!("the files hold no UpstreamParams and no ClusterAuth0Tenant{}", ignored(files.others));
    }
    let credentials =
        if arguments.no_cluster || arguments.credentials.are_given() { Some(arguments.credentials.reader(&reach)?) } else { None };
    if let (true, Some(reader)) = (arguments.no_cluster, &credentials) {
        notes.extend(declare::stand_in(&mut world, reader.domain(), &given));
    }
    let mut tenants = Vec::new();
    for name in arguments.tenants(&world, &given, with_files) {
        let planning = Planning { arguments, reach: &reach, given: with_files.then_some(&given), now };
        tenants.push(planning.tenant(&mut world, &name, credentials.as_ref()).await?);
    }
    if let (true, Some(tenant)) = (tenants.is_empty(), &arguments.tenant) {
        bail!(
            "--tenant: {} the ClusterAuth0Tenant {tenant}",
            if with_files { "the files are not about" } else { "nothing in the cluster is about" }
        );
    }
    if tenants.is_empty() {
        notes.push("the cluster has no UpstreamParams and no ClusterAuth0Tenant".to_owned());
    }
    if files.others > 0 {
        notes.push(format!("{} documents of other kinds were skipped", files.others));
    }
    Ok(Report::new(tenants, notes))
}

fn ignored(others: usize) -> String {
    if others == 0 { String::new() } else { format!(", but {others} documents of other kinds") }
}

impl Arguments {
    /// The cluster, and the namespace of objects that name none.
    async fn view(&self, files: &files::Files) -> anyhow::Result<(ClusterView, String)> {
        let named = || self.namespace.clone();
        if self.no_cluster {
            let view = ClusterView { world: World::default(), notes: Vec::new() };
            return Ok((view, named().unwrap_or_else(|| "default".to_owned())));
        }
        let client = self.world.cluster.client().await?;
        let namespace = named().unwrap_or_else(|| client.default_namespace().to_owned());
        let secrets = match (&self.tenant, self.credentials.are_given()) {
            (_, true) => Secrets::None,
            (Some(tenant), false) => Secrets::Of(tenant),
            (None, false) => Secrets::All,
        };
        let used: BTreeSet<&str> = files.documents.iter().map(|document| document.namespace.as_deref().unwrap_or(&namespace)).collect();
        let used: Vec<&str> = used.into_iter().collect();
        let wanted = Wanted { objects: None, secrets, namespaces: &used };
        Ok((world::read(&client, &self.world.operator_namespace, wanted).await?, namespace))
    }

    /// The tenants that are planned: those that the files are about, or all.
    fn tenants(&self, world: &World, given: &Given, with_files: bool) -> Vec<String> {
        let tenant_of = |key| world.object(key).map(|object| object.policies.tenant.clone());
        let all = || world.tenants().map(|tenant| tenant.name.clone()).chain(world.objects().map(|object| object.policies.tenant.clone()));
        let names: BTreeSet<String> = if with_files {
            given.tenants.iter().cloned().chain(given.objects.keys().filter_map(tenant_of)).collect()
        } else {
            all().collect()
        };
        names.into_iter().filter(|name| self.tenant.as_ref().is_none_or(|tenant| tenant == name)).collect()
    }
}

/// Plans one tenant after the other.
struct Planning<'a> {
    arguments: &'a Arguments,
    reach: &'a Reach,
    given: Option<&'a Given>,
    now: jiff::Timestamp,
}

impl Planning<'_> {
    /// The plan of one tenant, or why there is none.
    async fn tenant(&self, world: &mut World, name: &str, credentials: Option<&TenantReader>) -> anyhow::Result<TenantPlan> {
        if let (Some(reader), Some(spec)) = (credentials, world.tenant(name).and_then(|tenant| tenant.spec.clone())) {
            let audience = match &spec.audience {
                Some(audience) => Audience::parse(audience).ok(),
                None => Domain::parse(&spec.domain).ok().map(|domain| Audience::of(&domain)),
            };
            let identity = audience.as_ref().map(Audience::identity);
            if identity != Some(reader.identity()) {
                let theirs = identity.map_or_else(|| "no tenant".to_owned(), ToString::to_string);
                return Ok(TenantPlan::unplanned(
                    name,
                    format!("not planned: it is for {theirs}, and the credentials in the environment are for {}", reader.identity()),
                ));
            }
            world.apply_secret(spec.credentials.secret_ref.name, self.arguments.credentials.as_secret()?);
        }
        let settings = match resolve(world, name, &self.reach.allowed, &self.arguments.world.operator_namespace) {
            Some(Resolution::Serving(settings)) => *settings,
            Some(Resolution::Refused(_, message) | Resolution::Unresolved(_, message)) => {
                return Ok(TenantPlan::unplanned(name, format!("not planned: {message}")));
            }
            None => return Ok(TenantPlan::unplanned(name, self.missing(world))),
        };
        let own;
        let reader = if let Some(reader) = credentials {
            reader
        } else {
            own = self.arguments.credentials.reader_of(&settings, self.reach);
            &own
        };
        self.planned(world, (name, &settings), reader).await
    }

    fn missing(&self, world: &World) -> String {
        let names: Vec<String> = world.tenants().map(|tenant| tenant.name.clone()).collect();
        let place = if self.arguments.no_cluster { "the files have" } else { "the cluster has" };
        let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        format!("not planned: there is no ClusterAuth0Tenant of this name; {place} {known}")
    }

    async fn planned(
        &self,
        world: &mut World,
        (name, settings): (&str, &TenantSettings),
        reader: &TenantReader,
    ) -> anyhow::Result<TenantPlan> {
        let found = reader.connections().await?;
        let before: Vec<_> = world.objects_of(name).cloned().collect();
        let run = dry_run(world, (name, settings), found.documents, self.now);
        tracing::debug!(tenant = name, calls = reader.calls(), "planned");
        Ok(TenantPlan::new((name, settings), &run, &before, self.given))
    }
}

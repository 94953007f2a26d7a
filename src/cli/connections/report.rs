//! What `connections` says of each connection.
//!
//! Guarantees: of the options only upstream parameters are in it; the same tenant and cluster give the same text.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::cli::output::table;
use crate::cli::source::ClusterSide;
use crate::core::pass::claims;
use crate::core::strategy::{Support, support};
use crate::core::world::Declared;
use crate::model::document::{Document, Entry, Live, Unreadable};
use crate::model::domain::Domain;

/// All of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    /// The host that was asked.
    domain: String,
    /// By name.
    connections: Vec<Row>,
    /// Those that can't be read.
    unreadable: Vec<Problem>,
    /// What is not known.
    notes: Vec<String>,
}

/// A connection that can't be read.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Problem {
    /// Its name, or its id; null where neither can be read.
    connection: Option<String>,
    problem: String,
}

/// One connection.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    id: String,
    name: String,
    /// Its type.
    strategy: String,
    /// Whether upstream parameters can be managed on it.
    supported: bool,
    /// Why not, or what is unusual about it; null where there is nothing to say.
    remark: Option<String>,
    /// By name; null where they can't be read.
    parameters: Option<Vec<Parameter>>,
    /// Why the parameters can't be read.
    problem: Option<String>,
    /// The objects of the cluster that own parameters of it, or that declare some; null where no cluster was asked.
    owners: Option<Vec<Owner>>,
}

/// One parameter: a value, or an alias, or an entry of another shape.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Parameter {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alias: Option<String>,
    /// Whether the entry is neither a value nor an alias, and so is managed by nobody.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    foreign: bool,
}

/// An object that has to do with a connection.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Owner {
    namespace: String,
    name: String,
    /// The parameters that its status records as its own.
    owns: Vec<String>,
    /// The parameters that its spec declares here.
    declares: Vec<String>,
}

impl Report {
    pub(super) fn new(domain: &Domain, connections: Vec<Row>, unreadable: &[Unreadable], notes: Vec<String>) -> Self {
        let problem = |one: &Unreadable| Problem { connection: one.called.clone(), problem: one.error.to_string() };
        Self { domain: domain.to_string(), connections, unreadable: unreadable.iter().map(problem).collect(), notes }
    }

    /// As a table.
    pub(super) fn table(&self) -> String {
        table(&["name", "id", "type", "supported", "params", "owners"], self.connections.iter().map(Row::cells))
    }

    /// What has no place in the table.
    pub(super) fn remarks(&self) -> Vec<String> {
        let mut remarks = BTreeMap::<&str, Vec<&str>>::new();
        for row in self.connections.iter().filter(|row| row.supported) {
            if let Some(remark) = &row.remark {
                remarks.entry(remark).or_default().push(&row.name);
            }
        }
        let unusual = remarks.into_iter().map(|(remark, names)| format!("unusual: {remark} ({})", names.join(", ")));
        let problems = self.connections.iter().filter_map(|row| Some(format!("{}: {}", row.name, row.problem.as_ref()?)));
        let unreadable = self.unreadable.iter().map(|one| {
            let called = one.connection.as_deref().unwrap_or("a connection without a name");
            format!("{called} can't be read: {}", one.problem)
        });
        unusual.chain(problems).chain(unreadable).chain(self.notes.iter().cloned()).collect()
    }
}

impl Row {
    pub(super) fn of(document: &Document, cluster: Option<&ClusterSide>) -> Self {
        let (supported, remark) = match support(document) {
            Support::Supported => (true, None),
            Support::Unusual(what) => (true, Some(what.to_owned())),
            Support::Unsupported(protocol) => (false, Some(protocol.to_owned())),
        };
        let live = document.live();
        let problem = live.as_ref().err().map(ToString::to_string);
        let parameters = live.ok().map(|live| live.into_iter().map(Parameter::of).collect());
        let owners = cluster.map(|cluster| {
            let concerned = cluster.concerned(document);
            concerned.iter().map(|object| Owner::of(object, document, cluster.connection(document).is_named_by(object))).collect()
        });
        Self {
            id: document.id.to_string(),
            name: document.name.to_string(),
            strategy: document.strategy.clone(),
            supported,
            remark,
            parameters,
            problem,
            owners,
        }
    }

    /// Whether it has any parameter.
    pub(super) fn has_parameters(&self) -> bool {
        self.parameters.as_ref().is_some_and(|parameters| !parameters.is_empty())
    }

    fn cells(&self) -> Vec<String> {
        let supported = match (self.supported, &self.remark) {
            (true, None) => "yes".to_owned(),
            (true, Some(_)) => "unusual".to_owned(),
            (false, remark) => format!("no ({})", remark.as_deref().unwrap_or_default()),
        };
        let count = self.parameters.as_ref().map_or_else(|| "?".to_owned(), |parameters| parameters.len().to_string());
        let owners = match &self.owners {
            None => "-".to_owned(),
            Some(owners) => owners.iter().map(Owner::cell).collect::<Vec<_>>().join(", "),
        };
        vec![self.name.clone(), self.id.clone(), self.strategy.clone(), supported, count, owners]
    }
}

impl Parameter {
    fn of((name, live): (String, Live)) -> Self {
        let (value, alias, foreign) = match live {
            Live::Entry(Entry::Value(text)) => (Some(text), None, false),
            Live::Entry(Entry::Alias(alias)) => (None, Some(alias.as_str().to_owned()), false),
            Live::Foreign => (None, None, true),
        };
        Self { name, value, alias, foreign }
    }
}

impl Owner {
    fn of(object: &Declared, document: &Document, named: bool) -> Self {
        let claims = claims::on(&object.status, &document.id);
        let owns = claims.into_iter().filter(|(_, claim)| !claim.owned.is_empty()).map(|(name, _)| name);
        let declared = object.spec.iter().filter(|_| named).flat_map(|spec| spec.params.keys().cloned());
        Self {
            namespace: object.key.namespace.clone(),
            name: object.key.name.clone(),
            owns: owns.collect(),
            declares: declared.collect::<BTreeSet<_>>().into_iter().collect(),
        }
    }

    fn cell(&self) -> String {
        let what = match self.owns.len() {
            0 => "owns none".to_owned(),
            count => format!("owns {count}"),
        };
        format!("{}/{} ({what})", self.namespace, self.name)
    }
}

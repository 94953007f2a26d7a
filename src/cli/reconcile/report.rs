//! How the looks ended that were asked for.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::cli::output::{paint, printable, style, table};
use crate::cli::status::render;
use crate::cli::status::report::{ObjectReport, OperatorReport, Report, Summary, TenantReport};
use crate::core::status::standing::Standing;
use crate::core::world::Declared;
use crate::kubernetes::snapshot::EventSeen;
use crate::model::identity::ObjectKey;

/// What `reconcile -o json` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    /// The value of the annotation that was set.
    pub(super) reconcile_at: String,
    /// Whether it was only asked, and not waited.
    only_asked: bool,
    /// How long it was waited at most, in seconds.
    timeout_seconds: u64,
    /// What was asked about: objects, or a tenant.
    pub(super) items: Vec<Item>,
    /// Of a tenant: how its objects stand, where they can be read.
    pub(super) objects: Option<Report>,
    /// Which operator serves.
    pub(super) operator: OperatorReport,
    /// What could not be read, and what happened meanwhile.
    pub(super) notes: Vec<String>,
}

/// One that was asked about.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Item {
    /// `UpstreamParams` or `ClusterAuth0Tenant`.
    kind: &'static str,
    namespace: Option<String>,
    name: String,
    /// Whether the look has ended.
    looked_at: bool,
    /// How it stands since.
    #[serde(flatten)]
    summary: Option<Summary>,
    /// What was told of it since.
    events: Vec<EventSeen>,
}

impl Item {
    /// An object about which was only asked.
    pub(super) fn asked(key: &ObjectKey) -> Self {
        let (namespace, name) = (Some(key.namespace.clone()), key.name.clone());
        Self { kind: "UpstreamParams", namespace, name, looked_at: false, summary: None, events: Vec::new() }
    }

    /// A tenant about which was only asked.
    pub(super) fn asked_tenant(name: &str) -> Self {
        let name = name.to_owned();
        Self { kind: "ClusterAuth0Tenant", namespace: None, name, looked_at: false, summary: None, events: Vec::new() }
    }

    /// An object, as it is after the look, or after the wait for it.
    pub(super) fn object(report: ObjectReport, looked_at: bool) -> Self {
        let ObjectReport { namespace, name, summary, events, .. } = report;
        Self { kind: "UpstreamParams", namespace: Some(namespace), name, looked_at, summary: Some(summary), events }
    }

    /// A tenant, as it is after the looks, or after the wait for them.
    pub(super) fn tenant(report: TenantReport, looked_at: bool) -> Self {
        let TenantReport { name, summary, .. } = report;
        Self { kind: "ClusterAuth0Tenant", namespace: None, name, looked_at, summary: Some(summary), events: Vec::new() }
    }

    /// Where it stands among others.
    pub(super) fn place(&self) -> (Option<String>, String) {
        (self.namespace.clone(), self.name.clone())
    }

    fn label(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{namespace}/{}", self.name),
            None => format!("ClusterAuth0Tenant {}", self.name),
        }
    }

    fn is_well(&self) -> bool {
        self.looked_at && self.summary.as_ref().is_some_and(|summary| summary.standing == Standing::Ready)
    }
}

impl Answer {
    /// To those who ask by this, and wait for so long.
    pub(super) fn new(by: &str, only_asked: bool, timeout: Duration) -> Self {
        Self {
            reconcile_at: by.to_owned(),
            only_asked,
            timeout_seconds: timeout.as_secs(),
            items: Vec::new(),
            objects: None,
            operator: OperatorReport::default(),
            notes: Vec::new(),
        }
    }

    /// Those that are gone while they were waited for are waited for no more, which is noted.
    pub(super) fn note_gone(&mut self, waited_for: &mut BTreeSet<ObjectKey>, found: &[Declared]) {
        waited_for.retain(|key| {
            let is_there = found.iter().any(|object| object.key == *key);
            if !is_there {
                self.notes.push(format!("{key} is gone"));
            }
            is_there
        });
    }

    /// Whether everything was looked at, and is ready.
    pub(super) fn is_well(&self) -> bool {
        let objects = self.objects.as_ref().is_none_or(|objects| objects.counts.ready == objects.counts.objects);
        objects && self.items.iter().all(Item::is_well)
    }

    /// For people.
    pub(super) fn text(&self, now: Timestamp) -> String {
        if self.only_asked {
            let each = self
                .items
                .iter()
                .map(|item| format!("{}: asked for a check, with reconcile-at {}\n", printable(&item.label()), self.reconcile_at));
            return each.collect();
        }
        let mut text: String = self.items.iter().map(|item| self.item(item, now)).collect();
        if let Some(objects) = &self.objects {
            text.push('\n');
            text.push_str(&render::all(objects, now));
        }
        if self.items.iter().any(|item| !item.looked_at) {
            let operator = render::operator(&self.operator);
            let unknown = "which operator leads is not known, because you may not read its Lease; ask the platform team\n";
            text.push_str(if self.operator.known { &operator } else { unknown });
        }
        text
    }

    fn item(&self, item: &Item, now: Timestamp) -> String {
        let Some(summary) = &item.summary else { return String::new() };
        let mut text = render::headline(&item.label(), summary, now);
        if !item.looked_at {
            let waited = format!("not checked within {} s; this is the status from before", self.timeout_seconds);
            text.push_str(&render::indented(&paint(style::WARN, waited)));
        }
        text.push_str(&render::to_do(summary));
        let row = |event: &EventSeen| vec![event.reason.clone(), event.message.clone()];
        if item.events.is_empty() {
            return text;
        }
        let events = table(&["event", "message"], item.events.iter().map(row));
        text.push_str(&render::indented(&events));
        text
    }
}

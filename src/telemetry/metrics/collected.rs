//! What is counted anew at each scrape: objects, connections that wait for a pass, the Lease. Only who leads shows any of it, as
//! all replicas know the same objects, and what waits waits for the leader.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use super::labels::{LaneLabels, ObjectLabels, label};
use crate::clock;
use crate::core::schedule::agenda::{Agenda, Backlog, Waiting};
use crate::core::status::object_counts::{ObjectCounts, count_objects};
use crate::kubernetes::hub::Hub;

/// How long it is since the Lease was renewed; nothing where this process does not hold it.
type SinceRenewal = Box<dyn Fn() -> Option<Duration> + Send + Sync>;

/// What is looked at by each scrape.
pub(super) struct Collected {
    hub: Arc<Hub>,
    /// While this process leads.
    leads: Mutex<Option<SinceRenewal>>,
    agendas: Mutex<BTreeMap<String, Arc<Mutex<Agenda>>>>,
}

impl fmt::Debug for Collected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Collected")
    }
}

impl Collected {
    pub(super) fn new(hub: Arc<Hub>) -> Self {
        Self { hub, leads: Mutex::default(), agendas: Mutex::default() }
    }

    pub(super) fn leads(&self, since_renewal: impl Fn() -> Option<Duration> + Send + Sync + 'static) {
        *self.leads.lock() = Some(Box::new(since_renewal));
    }

    pub(super) fn stands_by(&self) {
        *self.leads.lock() = None;
        self.agendas.lock().clear();
    }

    pub(super) fn schedules(&self, tenant: &str, agenda: &Arc<Mutex<Agenda>>) {
        self.agendas.lock().insert(tenant.to_owned(), agenda.clone());
    }

    pub(super) fn forget(&self, tenant: &str) {
        self.agendas.lock().remove(tenant);
    }

    fn objects(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        if !self.hub.is_complete() {
            // Objects of which the tenant has not been listed yet would look like those of tenants that do not exist.
            return Ok(());
        }
        let tenants = self.hub.read(count_objects);
        let each = |count: fn(&ObjectCounts) -> usize| tenants.iter().map(move |(tenant, counts)| (label(tenant), count(counts)));
        let by_ready = tenants.iter().flat_map(|(tenant, counts)| {
            let labels = |ready: &str| ObjectLabels { tenant: tenant.clone(), ready: ready.to_owned() };
            [(labels("True"), counts.ready), (labels("False"), counts.not_ready), (labels("Unknown"), counts.unknown)]
        });
        count(encoder, "objects", "UpstreamParams, by the status of their Ready condition", by_ready)?;
        count(
            encoder,
            "stalled_objects",
            "UpstreamParams that are Stalled: they wait for somebody to change something",
            each(|counts| counts.stalled),
        )?;
        count(encoder, "managed_parameters", "Parameters that an UpstreamParams owns", each(|counts| counts.managed))?;
        count(
            encoder,
            "contended_parameters",
            "Parameters that are Contended: somebody keeps setting another value, and the operator leaves it for a while",
            each(|counts| counts.contended),
        )
    }

    fn queue(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let now = clock::now();
        let agendas = self.agendas.lock();
        let waiting: Vec<(&String, Backlog)> = agendas.iter().map(|(tenant, agenda)| (tenant, agenda.lock().backlog(now))).collect();
        let each = |value: fn(Waiting) -> u64| {
            waiting.iter().flat_map(move |(tenant, Backlog { edits, routine })| {
                let labels = |lane| LaneLabels { tenant: (*tenant).clone(), lane };
                [(labels("edit"), value(*edits)), (labels("routine"), value(*routine))]
            })
        };
        let connections = |waiting: Waiting| u64::try_from(waiting.connections).unwrap_or(u64::MAX);
        count(encoder, "waiting_connections", "Connections that are due for a check and still wait, by lane", each(connections))?;
        gauge(
            encoder,
            ("longest_wait", Some(Unit::Seconds)),
            "The longest time that a connection has waited for its check, by lane; 0 if none waits",
            each(|waiting| waiting.longest.as_secs()),
        )
    }

    fn lease(encoder: &mut DescriptorEncoder<'_>, since_renewal: Option<Duration>) -> fmt::Result {
        let Some(since) = since_renewal else { return Ok(()) };
        let help = "Time since this replica renewed the Lease; after 15 it stops leading; absent if it does not lead.";
        let unit = Unit::Seconds;
        let family = encoder.encode_descriptor("lease_renewal_age", help, Some(&unit), MetricType::Gauge)?;
        // To a tenth: more says nothing.
        ConstGauge::new((since.as_secs_f64() * 10.0).round() / 10.0).encode(family)
    }
}

impl Collector for Collected {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let leads = self.leads.lock();
        let Some(since_renewal) = &*leads else { return Ok(()) };
        Self::lease(&mut encoder, since_renewal())?;
        drop(leads);
        self.queue(&mut encoder)?;
        self.objects(&mut encoder)
    }
}

fn count<Labels: EncodeLabelSet, Count: TryInto<i64>>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl Iterator<Item = (Labels, Count)>,
) -> fmt::Result {
    gauge(encoder, (name, None), help, values)
}

fn gauge<Labels: EncodeLabelSet, Value: TryInto<i64>>(
    encoder: &mut DescriptorEncoder<'_>,
    (name, unit): (&str, Option<Unit>),
    help: &str,
    values: impl Iterator<Item = (Labels, Value)>,
) -> fmt::Result {
    let mut values = values.peekable();
    if values.peek().is_none() {
        // A family without a series is nothing to be scraped.
        return Ok(());
    }
    let mut family = encoder.encode_descriptor(name, &format!("{help}."), unit.as_ref(), MetricType::Gauge)?;
    for (labels, value) in values {
        ConstGauge::new(value.try_into().unwrap_or(i64::MAX)).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

//! What people read of a report: a table of all, or all about one.
//!
//! Guarantees: what servers sent is on one line and holds no control character; colour is in escape codes that go where nobody wants it.

use anstyle::Style;
use jiff::Timestamp;

use super::report::{ConditionReport, ObjectReport, OnConnection, OperatorReport, Report, Summary, TenantReport};
use crate::cli::output::{paint, printable, style, table};
use crate::core::status::standing::Standing;

/// How much of a message stands in a table, in characters.
const IN_A_TABLE: usize = 100;

/// All objects, those in trouble first; the tenants before them, and how many there are after.
pub(in crate::cli) fn all(report: &Report, now: Timestamp) -> String {
    let mut text = String::new();
    if !report.tenants.is_empty() {
        text.push_str(&tenants(&report.tenants, now));
        text.push('\n');
    }
    if !report.objects.is_empty() {
        text.push_str(&objects(&report.objects, now));
        text.push('\n');
    }
    text.push_str(&counts(report));
    text.push_str(&operator(&report.operator));
    text
}

/// Tenants, a line each.
pub(in crate::cli) fn tenants(tenants: &[TenantReport], now: Timestamp) -> String {
    let row = |tenant: &TenantReport| {
        let Summary { standing, reason, message, since, .. } = &tenant.summary;
        let domain = tenant.domain.clone().unwrap_or_default();
        vec![
            tenant.name.clone(),
            domain,
            word(*standing).to_owned(),
            reason_of(*standing, reason.as_ref()),
            age(*since, now),
            short(message),
        ]
    };
    painted(
        &table(&["tenant", "domain", "ready", "reason", "since", "message"], tenants.iter().map(row)),
        tenants.iter().map(|one| one.summary.standing),
    )
}

/// Objects, a line each.
pub(in crate::cli) fn objects(objects: &[ObjectReport], now: Timestamp) -> String {
    let row = |object: &ObjectReport| {
        let Summary { standing, reason, message, since, .. } = &object.summary;
        vec![
            object.namespace.clone(),
            object.name.clone(),
            object.connection.clone().unwrap_or_default(),
            word(*standing).to_owned(),
            reason_of(*standing, reason.as_ref()),
            age(*since, now),
            short(message),
        ]
    };
    let header = ["namespace", "name", "connection", "ready", "reason", "since", "message"];
    painted(&table(&header, objects.iter().map(row)), objects.iter().map(|one| one.summary.standing))
}

/// A table with the lines of those coloured that are in trouble. Each line of it is one of them.
fn painted(table: &str, standings: impl Iterator<Item = Standing>) -> String {
    let (header, rows) = table.split_once('\n').unwrap_or((table, ""));
    let mut text = format!("{}\n", paint(style::TITLE, header));
    for (row, standing) in rows.lines().zip(standings) {
        let line = if standing == Standing::Ready { row.to_owned() } else { paint(colour(standing), row) };
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// The sentence that ends a table.
fn counts(report: &Report) -> String {
    let counts = &report.counts;
    if counts.objects == 0 {
        return "no UpstreamParams here\n".to_owned();
    }
    let parts = [
        (counts.not_ready, "not ready", style::BAD),
        (counts.not_looked_at, "not checked yet", style::WARN),
        (counts.deleting, "being deleted", style::WARN),
        (counts.ready, "ready", style::GOOD),
    ];
    let parts: Vec<String> =
        parts.into_iter().filter(|(count, ..)| *count > 0).map(|(count, what, colour)| paint(colour, format!("{count} {what}"))).collect();
    let objects = if counts.objects == 1 { "object" } else { "objects" };
    format!("{} {objects}: {}\n", counts.objects, parts.join(", "))
}

/// Who serves, where that can be told.
pub(in crate::cli) fn operator(operator: &OperatorReport) -> String {
    match (operator.known, &operator.holder, operator.renewed_seconds_ago) {
        (false, ..) => String::new(),
        (true, None, _) => format!(
            "{}\n",
            paint(style::WARN, "no operator holds the Lease upstream-params-operator in the namespace default, so nothing is checked")
        ),
        (true, Some(holder), Some(ago)) if ago > 60 => {
            let text = format!("the operator {} has not renewed its Lease for {}", printable(holder), span(ago));
            format!("{}\n", paint(style::WARN, text))
        }
        (true, Some(holder), _) => format!("{}\n", paint(style::DIM, format!("served by {}", printable(holder)))),
    }
}

/// All about one object.
pub(in crate::cli) fn one(object: &ObjectReport, tenant: Option<&TenantReport>, now: Timestamp) -> String {
    let mut text = headline(&format!("{}/{}", object.namespace, object.name), &object.summary, now);
    let connection = object.connection.as_deref().unwrap_or("not known");
    text.push_str(&line("connection", connection));
    text.push_str(&tenant_line(object, tenant));
    if object.observes {
        text.push_str(&line("policy", "Observe: the operator writes nothing"));
    }
    text.push_str(&line(
        "last in sync",
        &object.last_synced_time.map_or("never".to_owned(), |time| format!("{time} ({} ago)", age(Some(time), now))),
    ));
    if let Some(within) = object.next_look_within_seconds {
        text.push_str(&line("next check", &format!("within about {}, or at once after an edit", span(within))));
    }
    if let Some(by) = &object.last_handled_reconcile_at {
        text.push_str(&line("last reconcile-at", by));
    }
    text.push_str(&conditions(&object.summary.conditions, now));
    for connection in &object.connections {
        text.push_str(&parameters(connection));
    }
    text.push_str(&events(object, now));
    text.push_str(&to_do(&object.summary));
    text
}

/// What an object or a tenant comes to: its name, how it stands, and why.
pub(in crate::cli) fn headline(name: &str, summary: &Summary, now: Timestamp) -> String {
    let standing = paint(colour(summary.standing), words(summary.standing));
    let reason = summary.reason.as_deref().filter(|_| !is_unseen(summary.standing)).map(|reason| format!(" ({})", printable(reason)));
    let since = summary.since.filter(|_| !is_unseen(summary.standing)).map(|since| format!(" for {}", age(Some(since), now)));
    let name = paint(style::TITLE, printable(name));
    let (reason, since) = (reason.unwrap_or_default(), since.unwrap_or_default());
    format!("{name}: {standing}{reason}{since}\n  {}\n", printable(&summary.message))
}

/// What to do, where somebody has to do something.
pub(in crate::cli) fn to_do(summary: &Summary) -> String {
    summary.remedy.map(|remedy| format!("  {} {}\n", paint(style::TITLE, "to do:"), remedy.replace('`', ""))).unwrap_or_default()
}

fn tenant_line(object: &ObjectReport, tenant: Option<&TenantReport>) -> String {
    let name = &object.tenant;
    let Some(tenant) = tenant else { return line("tenant", &format!("{name} (not found, or you may not read it)")) };
    let Summary { standing, message, .. } = &tenant.summary;
    let domain = tenant.domain.as_ref().map(|domain| format!(" ({domain})")).unwrap_or_default();
    if *standing == Standing::Ready {
        return line("tenant", &format!("{name}{domain}: ready"));
    }
    let said = line("tenant", &format!("{name}{domain}: {}: {message}", words(*standing)));
    format!("{said}{}", to_do(&tenant.summary))
}

fn conditions(conditions: &[ConditionReport], now: Timestamp) -> String {
    if conditions.is_empty() {
        return String::new();
    }
    let row = |condition: &ConditionReport| {
        let ConditionReport { kind, status, reason, message, since, .. } = condition;
        vec![kind.clone(), status.clone(), reason.clone(), age(Some(*since), now), message.clone()]
    };
    let text = table(&["condition", "status", "reason", "since", "message"], conditions.iter().map(row));
    format!("\n{}", indented(&text))
}

fn parameters(connection: &OnConnection) -> String {
    let name = connection.name.as_deref().unwrap_or(&connection.id);
    let strategy = connection.strategy.as_deref().map(|strategy| format!(", {strategy}")).unwrap_or_default();
    let title = printable(&format!("on the connection {name} ({}{strategy})", connection.id));
    if connection.params.is_empty() {
        return format!("\n  {title}: no parameter\n");
    }
    let owned = |owned| if owned { "yes" } else { "no" }.to_owned();
    let rows = connection
        .params
        .iter()
        .map(|param| vec![param.name.clone(), param.state.to_string(), owned(param.owned), param.meaning.replace('`', "")]);
    format!("\n  {title}:\n{}", indented(&table(&["parameter", "state", "owned", "meaning"], rows)))
}

fn events(object: &ObjectReport, now: Timestamp) -> String {
    if object.events.is_empty() {
        return String::new();
    }
    let row = |event: &crate::kubernetes::snapshot::EventSeen| {
        vec![
            age(event.at, now),
            if event.warning { "Warning" } else { "Normal" }.to_owned(),
            event.reason.clone(),
            event.count.to_string(),
            event.message.clone(),
        ]
    };
    format!("\n{}", indented(&table(&["event", "type", "reason", "times", "message"], object.events.iter().map(row))))
}

/// Lines that belong to the one above.
pub(in crate::cli) fn indented(lines: &str) -> String {
    lines.lines().flat_map(|line| ["  ", line, "\n"]).collect()
}

fn line(what: &str, text: &str) -> String {
    format!("  {} {}\n", paint(style::DIM, format!("{what}:")), printable(text))
}

fn is_unseen(standing: Standing) -> bool {
    matches!(standing, Standing::Unseen | Standing::Outdated)
}

/// A word for the column `READY`.
fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Ready => "True",
        Standing::NotReady => "False",
        Standing::Unknown => "Unknown",
        Standing::Unseen | Standing::Outdated => "-",
        Standing::Deleting => "Deleting",
    }
}

fn words(standing: Standing) -> &'static str {
    match standing {
        Standing::Ready => "ready",
        Standing::NotReady => "not ready",
        Standing::Unknown => "not known",
        Standing::Unseen => "not checked yet",
        Standing::Outdated => "edited, and not checked since",
        Standing::Deleting => "being deleted",
    }
}

fn colour(standing: Standing) -> Style {
    match standing {
        Standing::Ready => style::GOOD,
        Standing::NotReady => style::BAD,
        Standing::Unknown | Standing::Unseen | Standing::Outdated | Standing::Deleting => style::WARN,
    }
}

/// The reason, where it is about what is there now.
fn reason_of(standing: Standing, reason: Option<&String>) -> String {
    reason.filter(|_| !is_unseen(standing)).cloned().unwrap_or_else(|| "-".to_owned())
}

fn short(message: &str) -> String {
    match message.char_indices().nth(IN_A_TABLE) {
        None => message.to_owned(),
        Some((end, _)) => format!("{}...", message.get(..end).unwrap_or_default()),
    }
}

/// How long ago it was, as kubectl says it.
fn age(then: Option<Timestamp>, now: Timestamp) -> String {
    then.map_or_else(|| "-".to_owned(), |then| span(now.duration_since(then).as_secs()))
}

/// So many seconds, as kubectl says them. A clock that is behind says none.
pub(in crate::cli) fn span(seconds: i64) -> String {
    match seconds.max(0) {
        seconds @ 0..120 => format!("{seconds}s"),
        seconds @ 120..7_200 => format!("{}m", seconds / 60),
        seconds @ 7_200..172_800 => format!("{}h", seconds / 3_600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

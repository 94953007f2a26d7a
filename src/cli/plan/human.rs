//! A plan for somebody who reads it in a terminal.

use std::fmt::Write;

use anstyle::Style;
use serde_json::Value;

use super::report::{ConnectionPlan, ObjectPlan, Report, StepPlan, Summary, TenantPlan};
use crate::cli::output::{paint, printable, style};

/// The longest value that is shown whole, in characters.
const LONGEST: usize = 80;

/// The plan as text.
pub(super) fn text(report: &Report) -> String {
    let mut text = String::new();
    for tenant in &report.tenants {
        tenant_text(&mut text, tenant);
    }
    for note in &report.notes {
        line(&mut text, &paint(style::DIM, format!("Note: {}", printable(note))));
    }
    line(&mut text, &paint(style::TITLE, summary(&report.summary)));
    text
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn tenant_text(text: &mut String, tenant: &TenantPlan) {
    let at = tenant.domain.as_ref().map(|domain| format!(" ({domain})")).unwrap_or_default();
    line(text, &paint(style::TITLE, format!("ClusterAuth0Tenant {}{at}", printable(&tenant.name))));
    if let Some(problem) = &tenant.problem {
        line(text, &format!("  {}", paint(style::BAD, printable(problem))));
    }
    for connection in &tenant.connections {
        connection_text(text, connection);
    }
    let not_ready: Vec<&ObjectPlan> = tenant.objects.iter().filter(|object| !object.is_ready()).collect();
    objects_text(text, "These objects would not be ready:", &not_ready);
    objects_text(text, "These other objects are ready now, and would not be any more:", &tenant.affected.iter().collect::<Vec<_>>());
    if tenant.other_connections > 0 {
        let count = tenant.other_connections;
        line(text, &paint(style::DIM, format!("  {count} more connections have changes that are not from these files.")));
    }
    if tenant.problem.is_none() && tenant.connections.is_empty() && not_ready.is_empty() && tenant.affected.is_empty() {
        line(text, "  Nothing to do: everything is as declared.");
    }
    text.push('\n');
}

fn connection_text(text: &mut String, ConnectionPlan { name, id, strategy, steps }: &ConnectionPlan) {
    line(text, &format!("  {} {}", printable(name), paint(style::DIM, format!("({}, {})", printable(strategy), printable(id)))));
    let width = steps.iter().map(|step| printable(&step.parameter).chars().count()).max().unwrap_or_default();
    for step in steps {
        let (sign, style) = sign(step);
        let name = printable(&step.parameter);
        let padding = " ".repeat(width.saturating_sub(name.chars().count()));
        line(text, &format!("    {} {name}{padding}  {}{}", paint(style, sign), values(step), remarks(step)));
    }
}

/// The sign of a step, as a diff has it.
fn sign(step: &StepPlan) -> (char, Style) {
    match step.action {
        "add" => ('+', style::GOOD),
        "change" => ('~', style::WARN),
        "remove" => ('-', style::BAD),
        "adopt" => ('=', style::GOOD),
        _ => ('.', style::DIM),
    }
}

/// What a step makes of what.
pub(super) fn values(StepPlan { action, from, to, .. }: &StepPlan) -> String {
    match (*action, from, to) {
        ("change", Some(from), Some(to)) => format!("{} -> {}", value(from), value(to)),
        ("remove" | "leave" | "adopt", Some(from), _) => value(from),
        (_, _, Some(to)) => value(to),
        (_, from, None) => from.as_ref().map(value).unwrap_or_default(),
    }
}

fn value(entry: &Value) -> String {
    if let Some(text) = entry.get("value").and_then(Value::as_str) {
        let shown: String = text.chars().take(LONGEST).collect();
        let rest = text.chars().count().saturating_sub(LONGEST);
        let more = if rest > 0 { format!(" and {rest} more characters") } else { String::new() };
        return format!("\"{}\"{more}", printable(&shown));
    }
    match entry.get("alias").and_then(Value::as_str) {
        Some(alias) => format!("alias {alias}"),
        None => "something that is not an upstream parameter".to_owned(),
    }
}

/// For whom, and what has to be known about it.
fn remarks(step: &StepPlan) -> String {
    let mut text = String::new();
    if let Some(object) = &step.object {
        write!(text, "  {}", paint(style::DIM, format!("for {}", printable(object)))).unwrap_or_default();
    }
    for remark in all_remarks(step) {
        write!(text, ", {remark}").unwrap_or_default();
    }
    text
}

/// What has to be known about a step.
pub(super) fn all_remarks(step: &StepPlan) -> Vec<String> {
    let others = (!step.others.is_empty()).then(|| format!("from {}", printable(&step.others.join(", "))));
    let adopts = (step.action == "adopt").then(|| "has this value already: adopted without a write".to_owned());
    let leaves = (step.action == "leave").then(|| "stays as it is, and nobody owns it".to_owned());
    let overwrites = step.overwrites.then(|| "replaces the value of somebody else".to_owned());
    let corrects = step.corrects.then(|| "sets back what somebody else changed".to_owned());
    let observed = step.observed.then(|| "not done, because managementPolicy is Observe".to_owned());
    [others, adopts, leaves, overwrites, corrects, observed].into_iter().flatten().collect()
}

fn objects_text(text: &mut String, title: &str, objects: &[&ObjectPlan]) {
    if objects.is_empty() {
        return;
    }
    line(text, &format!("  {title}"));
    for object in objects {
        let place = object.place.as_ref().map(|place| paint(style::DIM, format!(" ({})", printable(place)))).unwrap_or_default();
        let key = printable(&format!("{}/{}", object.namespace, object.name));
        line(text, &format!("    {key}{place}: {} {}", paint(style::BAD, printable(&object.reason)), printable(&object.message)));
        if let Some(remedy) = object.remedy {
            line(text, &format!("      {}", paint(style::DIM, remedy)));
        }
    }
}

/// The last line.
pub(super) fn summary(summary: &Summary) -> String {
    let Summary { add, change, remove, adopt, leave, observed, ready, not_ready } = summary;
    let optional = |count: usize, what: &str| if count > 0 { format!(", {count} {what}") } else { String::new() };
    format!(
        "Plan: {add} to add, {change} to change, {remove} to remove{}{}{}. {ready} of {} objects would be ready.",
        optional(*adopt, "to adopt as they are"),
        optional(*leave, "to leave as they are"),
        optional(*observed, "only observed"),
        ready + not_ready
    )
}

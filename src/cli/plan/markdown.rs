//! A plan for a comment on a pull request.
//!
//! Guarantees: what comes from files and from Auth0 stands in code, or escaped, so that nothing in it is taken for Markdown; the
//! text stays below what GitHub takes as a comment.

use std::fmt::Write;

use super::human;
use super::report::{ObjectPlan, Report, TenantPlan};
use crate::cli::output::printable;

/// The most characters of a comment on GitHub are 65,536.
const LONGEST: usize = 60_000;

/// The plan as Markdown.
pub(super) fn text(report: &Report) -> String {
    let mut text = format!("### Upstream parameters: what would change\n\n**{}**\n", human::summary(&report.summary));
    let mut left_out = 0;
    for tenant in &report.tenants {
        let part = tenant_text(tenant);
        if text.len() + part.len() > LONGEST {
            left_out += 1;
        } else {
            text.push_str(&part);
        }
    }
    if left_out > 0 {
        write!(text, "\n{left_out} tenants do not fit into this comment. See the log of the run.\n").unwrap_or_default();
    }
    for note in &report.notes {
        write!(text, "\n> {}\n", escaped(note)).unwrap_or_default();
    }
    text
}

fn tenant_text(tenant: &TenantPlan) -> String {
    let at = tenant.domain.as_ref().map(|domain| format!(" ({})", escaped(domain))).unwrap_or_default();
    let mut text = format!("\n#### ClusterAuth0Tenant {}{at}\n\n", code(&tenant.name));
    let mut push = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    if let Some(problem) = &tenant.problem {
        push(format!("{}\n", escaped(problem)));
    }
    let steps: Vec<_> =
        tenant.connections.iter().flat_map(|connection| connection.steps.iter().map(move |step| (connection, step))).collect();
    if !steps.is_empty() {
        push("| connection | parameter | | value | for | |\n|---|---|---|---|---|---|".to_owned());
        for (connection, step) in &steps {
            let remarks = human::all_remarks(step).iter().map(|remark| escaped(remark)).collect::<Vec<_>>().join("; ");
            let object = step.object.as_deref().map(code).unwrap_or_default();
            push(format!(
                "| {} | {} | {} | {} | {object} | {remarks} |",
                code(&connection.name),
                code(&step.parameter),
                step.action,
                code(&human::values(step)),
            ));
        }
        push(String::new());
    }
    let not_ready: Vec<&ObjectPlan> = tenant.objects.iter().filter(|object| !object.is_ready()).collect();
    for (title, objects) in [
        ("These objects would not be ready:", not_ready),
        ("These other objects are ready now, and would not be any more:", tenant.affected.iter().collect()),
    ] {
        if objects.is_empty() {
            continue;
        }
        push(format!("{title}\n"));
        for object in objects {
            let key = code(&format!("{}/{}", object.namespace, object.name));
            let place = object.place.as_ref().map(|place| format!(" ({})", code(place))).unwrap_or_default();
            push(format!("- {key}{place}: **{}** {}", escaped(&object.reason), escaped(&object.message)));
        }
        push(String::new());
    }
    if tenant.other_connections > 0 {
        push(format!("{} more connections have changes that are not from these files.\n", tenant.other_connections));
    }
    if steps.is_empty() && tenant.problem.is_none() && tenant.affected.is_empty() && tenant.objects.iter().all(ObjectPlan::is_ready) {
        push("Nothing to do: everything is as declared.\n".to_owned());
    }
    text
}

/// A text as code in a table: no backtick ends it, and no bar ends the cell.
fn code(text: &str) -> String {
    let text = printable(text).replace('|', "\\|");
    if text.is_empty() {
        return String::new();
    }
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// A text with nothing in it that Markdown or HTML would take for its own.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in printable(text).chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '|' | '~' | '!' | '@' => escaped.extend(['\\', c]),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

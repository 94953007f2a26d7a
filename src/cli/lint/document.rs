//! What is said of one document by itself.

use serde_json::Value;

use super::finding::{Finding, Rule};
use crate::api;
use crate::api::upstream_params::Alias;
use crate::cli::files::{Document, Oddity, Place, Style, reads_differently};
use crate::core::admission::{Admission, Problem, Sort};
use crate::core::near::nearest;
use crate::core::spec;
use crate::model::domain::{Audience, Domain};

/// The kind of objects of parameters.
pub(super) const PARAMS: &str = "UpstreamParams";
/// The kind of tenant objects.
pub(super) const TENANT: &str = "ClusterAuth0Tenant";

/// All that is wrong with a document, in the order in which it was noticed.
pub(super) fn check(document: &Document, admission: &Admission) -> Vec<Finding> {
    let mut found: Vec<Finding> = document.oddities.iter().map(|(place, oddity)| odd(place.clone(), oddity)).collect();
    if let Some(finding) = kind(document, admission) {
        found.push(finding);
    } else {
        let problems = admission.problems(&document.kind, &document.value);
        found.extend(problems.iter().map(|problem| refused(document, problem)));
        match document.kind.as_str() {
            PARAMS => {
                operator_refuses(document, &problems, &mut found);
                params(document, &mut found);
            }
            TENANT => tenant(document, &mut found),
            _ => {}
        }
        if document.kind == TENANT && document.namespace.is_some() {
            let message = "metadata.namespace: a ClusterAuth0Tenant is in no namespace; leave it out";
            found.push(Finding::new(Rule::UnknownField, document.key_place("metadata.namespace"), message));
        }
    }
    let object = title(document);
    for finding in &mut found {
        finding.object = Some(object.clone());
    }
    found
}

/// How an object is called.
pub(super) fn title(document: &Document) -> String {
    let name = document.name.as_deref().unwrap_or("without a name");
    match &document.namespace {
        Some(namespace) => format!("{} {namespace}/{name}", document.kind),
        None => format!("{} {name}", document.kind),
    }
}

fn odd(place: Place, oddity: &Oddity) -> Finding {
    match oddity {
        Oddity::DuplicateKey(key) => {
            Finding::new(Rule::DuplicateKey, place, format!("the key {key} stands here twice, and kubectl keeps this one"))
                .help("remove one of the two")
        }
        Oddity::RenamedKey { written, becomes } => {
            let message = format!("the key {written} is read as {becomes}");
            Finding::new(Rule::RenamedKey, place, message).help(format!("put it in quotes: \"{written}\""))
        }
        Oddity::UnquotedKey(key) => {
            let message = format!("some readers of YAML take the key {key} for no text");
            Finding::new(Rule::UnquotedKey, place, message).help(format!("put it in quotes: \"{key}\""))
        }
        Oddity::MergeReplaces(key) => {
            let message = format!("what is merged in here replaces the {key} above it, at least for kubectl");
            Finding::new(Rule::MergeOrder, place, message).help("put << first")
        }
    }
}

/// Whether the API server knows the kind.
fn kind(document: &Document, admission: &Admission) -> Option<Finding> {
    let served = format!("{}/{}", api::GROUP, api::VERSION);
    if document.api_version != served {
        let message = format!("apiVersion: the API server serves {served} only");
        return Some(Finding::new(Rule::UnknownKind, document.place("apiVersion"), message));
    }
    if admission.is_namespaced(&document.kind).is_some() {
        return None;
    }
    let kinds: Vec<&str> = admission.kinds().collect();
    let finding =
        Finding::new(Rule::UnknownKind, document.place("kind"), format!("kind: {} has the kinds {} only", api::GROUP, kinds.join(" and ")));
    Some(match nearest(&document.kind, kinds.into_iter()) {
        Some(meant) => finding.help(format!("did you mean {meant}?")),
        None => finding,
    })
}

fn refused(document: &Document, problem: &Problem) -> Finding {
    let rule = match problem.sort {
        Sort::UnknownField => Rule::UnknownField,
        Sort::Missing => Rule::MissingField,
        Sort::WrongType => Rule::WrongType,
        Sort::Invalid => Rule::InvalidValue,
        Sort::Immutable => Rule::ImmutableField,
    };
    let place = if problem.about_key { document.key_place(&problem.pointer) } else { document.place(&problem.pointer) };
    let finding = Finding::new(rule, place, &problem.message);
    let written = document.written(&problem.pointer);
    let text = document.value.pointer(&problem.pointer).and_then(Value::as_str);
    let meant = match problem.sort {
        Sort::UnknownField => {
            problem.pointer.rsplit('/').next().and_then(|name| nearest(name, problem.supported.iter().map(String::as_str)))
        }
        Sort::Missing | Sort::WrongType | Sort::Invalid | Sort::Immutable => {
            text.and_then(|text| nearest(text, problem.supported.iter().map(String::as_str)))
        }
    };
    match (meant, written, text) {
        (Some(meant), ..) => finding.help(format!("did you mean {meant}?")),
        (None, Some((Style::Plain, raw)), None) if problem.message.ends_with("in quotes") && !raw.is_empty() => {
            finding.help(format!("write {}", Value::from(raw)))
        }
        (None, Some((Style::Block, _)), Some(text))
            if text.trim_end_matches('\n') != text && !text.trim_end_matches('\n').contains(char::is_control) =>
        {
            finding.help("write the value on the line of its key, or |- and >- in place of | and >, which end the text with a line break")
        }
        (None, ..) => finding,
    }
}

/// What the operator itself refuses beyond what the API server does: an entry that is null, which the API server drops in silence.
fn operator_refuses(document: &Document, problems: &[Problem], found: &mut Vec<Finding>) {
    let spec = document.value.get("spec").unwrap_or(&Value::Null);
    for refusal in spec::refusals(spec) {
        let place = document.place(&refusal.field);
        let is_told = problems.iter().any(|problem| {
            problem.message.ends_with(&refusal.problem)
                || document.place(&problem.pointer) == place
                || document.key_place(&problem.pointer) == place
        });
        if !is_told {
            found.push(Finding::new(Rule::InvalidValue, place, refusal.to_string()));
        }
    }
}

/// What is read of a tenant beyond its schema.
fn tenant(document: &Document, found: &mut Vec<Finding>) {
    let text = |name: &str| document.value.get("spec").and_then(|spec| spec.get(name)).and_then(Value::as_str);
    let domain = text("domain").and_then(|text| Domain::parse(text).err()).map(|error| ("spec.domain", error));
    let audience = text("audience").and_then(|text| Audience::parse(text).err()).map(|error| ("spec.audience", error));
    for (field, error) in domain.into_iter().chain(audience) {
        let place = document.place(field);
        match found.iter_mut().find(|finding| finding.place == place) {
            // The API server's rule says how it has to look, and this says what is wrong with it.
            Some(finding) => finding.help = Some(error.to_string()),
            None => found.push(Finding::new(Rule::InvalidValue, place, format!("{field}: {error}"))),
        }
    }
    if let Some((field, text)) = ["domain", "audience"].iter().find_map(|name| Some((name, text(name)?)))
        && reads_differently(text)
    {
        found.push(ambiguous(document, &format!("spec.{field}")));
    }
}

/// What is said of the parameters that are texts.
fn params(document: &Document, found: &mut Vec<Finding>) {
    for field in ["spec.connection.name", "spec.connection.id"] {
        if document.value.pointer(&format!("/{}", field.replace('.', "/"))).and_then(Value::as_str).is_some_and(reads_differently) {
            found.extend(plain(document, field).then(|| ambiguous(document, field)));
        }
    }
    for (name, entry) in document.value.pointer("/spec/params").and_then(Value::as_object).into_iter().flatten() {
        let key = format!("/spec/params/{}", name.replace('~', "~0").replace('/', "~1"));
        if name == spec::SCOPE {
            found.push(Finding::new(Rule::ScopeParam, document.key_place(&key), spec::SCOPE_REPLACES));
        }
        let Some(text) = entry.get("value").and_then(Value::as_str) else { continue };
        let value = format!("{key}/value");
        if reads_differently(text) && plain(document, &value) {
            found.push(ambiguous(document, &value));
        }
        if text.trim() != text && !text.trim().is_empty() && !text.contains(char::is_control) {
            let message = format!("the value of the parameter {name} begins or ends with a blank, which is sent as a part of it");
            found.push(Finding::new(Rule::SurroundingBlanks, document.place(&value), message).help("remove the blank, unless it is meant"));
        }
        if spec::is_placeholder(text) {
            let finding = Finding::new(Rule::Placeholder, document.place(&value), spec::placeholder(name));
            found.push(match alias_in(text) {
                Some(alias) => finding.help(format!("to pass on what the application sends, write alias: {alias} instead of value")),
                None => finding.help("write the value itself; nothing fills in placeholders"),
            });
        }
    }
}

fn plain(document: &Document, path: &str) -> bool {
    document.written(path).is_some_and(|(style, _)| style == Style::Plain)
}

fn ambiguous(document: &Document, path: &str) -> Finding {
    let place = document.place(path);
    let raw = document.written(path).map(|(_, raw)| raw).unwrap_or_default();
    Finding::new(Rule::AmbiguousText, place, "some readers of YAML take this for a date or a number")
        .help(format!("write {}", Value::from(raw)))
}

/// The alias that a placeholder names, as `${login_hint}` does.
fn alias_in(text: &str) -> Option<&'static str> {
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.find_map(|word| Alias::ALL.iter().map(|alias| alias.as_str()).find(|alias| alias.eq_ignore_ascii_case(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_may_name_an_alias() {
        assert_eq!(alias_in("${login_hint}"), Some("login_hint"));
        assert_eq!(alias_in("{{ request.UI_LOCALES }}"), Some("ui_locales"));
        assert_eq!(alias_in("${my_login_hint}"), None);
    }
}

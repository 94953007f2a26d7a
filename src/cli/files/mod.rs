//! The files that a command is given: FILE, DIR or `-`, taken apart into documents that know where everything in them stands.
//!
//! Guarantees: what a document says is what kubectl would send, as `scalar` and `tree` have it; only documents of our kinds, and
//! namespaces, are kept, so nothing of a Secret that stands between them is held or shown; a file that can't be used is reported
//! beside the others, and never ends the reading of them.
//!
//! The YAML reader is `granit-parser`, the one below `serde-saphyr`: its events have a place each, which serde's values lose in
//! maps whose names are not known beforehand, and it goes on after a document that is none.

mod scalar;
#[cfg(test)]
mod tests;
mod tree;
mod walk;

use std::borrow::Cow;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use granit_parser::{Event, Parser};
use serde_json::Value;

pub(in crate::cli) use self::scalar::reads_differently;
use self::tree::{At, Broken, Builder, Node, Shape};
pub(in crate::cli) use self::tree::{Oddity, Style};
use self::walk::Input;
use crate::api;

/// The largest file that is read, in bytes.
const LARGEST: u64 = 100 << 20;
/// The longest line that is shown, in bytes to either side of what is meant.
const LONGEST_LINE: usize = 2_000;
/// How standard input is called.
const STANDARD_INPUT: &str = "<stdin>";

/// What was read.
#[allow(clippy::struct_field_names, reason = "one of its fields counts files")]
#[derive(Debug, Default)]
pub(in crate::cli) struct Files {
    /// Documents of our API group, in the order in which they stand.
    pub(in crate::cli) documents: Vec<Document>,
    /// Namespaces, whose labels `access` goes by.
    pub(in crate::cli) namespaces: Vec<Document>,
    /// How many documents of other kinds there were.
    pub(in crate::cli) others: usize,
    /// How many files were read.
    pub(in crate::cli) files: usize,
    /// What could not be read, or was passed over.
    pub(in crate::cli) unread: Vec<Unread>,
}

/// A file, a folder or a document that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Unread {
    /// Where.
    pub(in crate::cli) place: Place,
    /// What is wrong, and what to do.
    pub(in crate::cli) message: String,
    /// Whether it was passed over on purpose, as a folder that a link leads back to.
    pub(in crate::cli) skipped: bool,
}

/// A place in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::cli) struct Place {
    /// The file, as it was named.
    pub(in crate::cli) file: String,
    /// The line, from 1; 0 where the file as a whole is meant.
    pub(in crate::cli) line: usize,
    /// The column in characters, from 1.
    pub(in crate::cli) column: usize,
    /// The column after the last character that is meant, in the same line.
    pub(in crate::cli) end_column: usize,
    /// The line itself; `None` where it is not ours to show, or too long for it.
    pub(in crate::cli) text: Option<String>,
    /// The line of the alias by which it came to where it counts.
    pub(in crate::cli) by_alias: Option<usize>,
}

/// One document of our API group, or a namespace.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Document {
    /// `kind`.
    pub(in crate::cli) kind: String,
    /// `apiVersion`.
    pub(in crate::cli) api_version: String,
    /// `metadata.name`.
    pub(in crate::cli) name: Option<String>,
    /// `metadata.namespace`.
    pub(in crate::cli) namespace: Option<String>,
    /// All of it, as kubectl would send it.
    pub(in crate::cli) value: Value,
    /// What is odd about its YAML, with the place.
    pub(in crate::cli) oddities: Vec<(Place, Oddity)>,
    source: Arc<Source>,
    root: Arc<Node>,
}

/// The text of a file.
#[derive(Debug)]
struct Source {
    name: String,
    text: String,
}

impl Unread {
    fn new(path: &Path, message: &str) -> Self {
        let place = Place { file: path.display().to_string(), ..Place::default() };
        Self { place, message: message.to_owned(), skipped: false }
    }

    fn skipped(path: &Path, message: &str) -> Self {
        Self { skipped: true, ..Self::new(path, message) }
    }
}

impl std::fmt::Display for Unread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}:{}", self.file, self.column),
        }
    }
}

impl Files {
    /// Whether everything could be read; else the first that could not, and how many more there are. For commands that can't do
    /// with a part.
    pub(in crate::cli) fn complete(&self) -> anyhow::Result<()> {
        let mut failed = self.unread.iter().filter(|unread| !unread.skipped);
        let Some(first) = failed.next() else { return Ok(()) };
        match failed.count() {
            0 => anyhow::bail!("{first}"),
            more => anyhow::bail!("{first} (and {more} more; the command lint names them all)"),
        }
    }
}

/// Reads what the arguments name: files, folders, `-` for standard input.
pub(in crate::cli) fn read(arguments: &[PathBuf]) -> Files {
    let mut files = Files::default();
    for input in walk::inputs(arguments, &mut files.unread) {
        let (name, bytes) = match input {
            Input::Standard => (STANDARD_INPUT.to_owned(), bounded(std::io::stdin().lock())),
            Input::File(path) => (path.display().to_string(), std::fs::File::open(&path).and_then(bounded)),
        };
        files.files += 1;
        match bytes {
            Ok(bytes) => files.take(name, bytes),
            Err(error) => files.unread.push(Unread::new(Path::new(&name), &format!("cannot be read: {error}"))),
        }
    }
    files
}

/// All of a file, unless it is larger than anything that is meant.
fn bounded(from: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(std::io::Error::other(format!("it has more than {} MiB", LARGEST >> 20)));
    }
    Ok(bytes)
}

impl Files {
    /// Takes a file apart.
    pub(in crate::cli) fn take(&mut self, name: String, bytes: Vec<u8>) {
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let before = error.utf8_error().valid_up_to();
                let line = error.as_bytes().iter().take(before).filter(|byte| **byte == b'\n').count() + 1;
                let place = Place { file: name, line, column: 1, ..Place::default() };
                let message = "this is not UTF-8; save the file as UTF-8".to_owned();
                return self.unread.push(Unread { place, message, skipped: false });
            }
        };
        let source = Arc::new(Source { name, text });
        let mut options = granit_parser::Options::default();
        options.set_emit_comments(false);
        let mut parser = Parser::new_from_str_with_options(&source.text, options);
        let mut builder = Builder::default();
        let mut begin = 0;
        loop {
            let taken = match parser.next_event() {
                None => return,
                Some(Ok((Event::DocumentStart(..), span))) => {
                    builder = Builder::default();
                    begin = At::of(&span).from as usize;
                    Ok(())
                }
                Some(Ok((Event::DocumentEnd, _))) => builder.finish().map(|root| {
                    if let Some(root) = root {
                        self.document(&source, &root, &builder.oddities);
                    }
                }),
                Some(Ok((event, span))) => builder.take(event, &span),
                Some(Err(error)) => {
                    let mark = error.marker();
                    let from = u32::try_from(mark.byte_offset().unwrap_or_default()).unwrap_or(u32::MAX);
                    let column = u32::try_from(mark.col() + 1).unwrap_or(u32::MAX);
                    let at = At { line: u32::try_from(mark.line()).unwrap_or(u32::MAX), column, from, to: from };
                    Err(Broken { at, message: format!("this is not YAML: {}", error.info()) })
                }
            };
            if let Err(broken) = taken {
                self.broken(&source, begin, &broken);
                begin = source.text.len();
                builder = Builder::default();
                if !parser.proceed_next_document().unwrap_or(false) {
                    return;
                }
            }
        }
    }

    /// Keeps a document if it is one of ours or a namespace. A list of objects is taken apart.
    fn document(&mut self, source: &Arc<Source>, root: &Arc<Node>, oddities: &[(At, Oddity)]) {
        if matches!(root.shape, Shape::Scalar(Value::Null, _)) {
            return;
        }
        let (Some(kind), Some(api_version)) = (root.text("kind"), root.text("apiVersion")) else {
            self.others += 1;
            return;
        };
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        let is_list = (api_version == "v1" && kind == "List") || (group == api::GROUP && kind.ends_with("List"));
        if let (true, Some(Shape::List(items))) = (is_list, root.member("items").map(|items| &items.item.node.shape)) {
            for item in items {
                self.document(source, &item.node, oddities);
            }
            return;
        }
        let is_namespace = api_version == "v1" && kind == "Namespace";
        if group != api::GROUP && !is_namespace {
            self.others += 1;
            return;
        }
        let metadata = root.member("metadata").map(|metadata| &metadata.item.node);
        let text = |key: &str| metadata.and_then(|metadata| metadata.text(key)).map(str::to_owned);
        let within = |at: &At| (root.at.from..=root.at.to).contains(&at.from);
        let document = Document {
            kind: kind.to_owned(),
            api_version: api_version.to_owned(),
            name: text("name"),
            namespace: text("namespace"),
            value: root.value(),
            oddities: oddities.iter().filter(|(at, _)| within(at)).map(|(at, oddity)| (source.place(*at, None), oddity.clone())).collect(),
            source: Arc::clone(source),
            root: Arc::clone(root),
        };
        if is_namespace {
            self.namespaces.push(document);
        } else {
            self.documents.push(document);
        }
    }

    /// A document that is none. Its line is shown only where it speaks of our API group and of no other kind: what stands there
    /// otherwise may be a secret.
    fn broken(&mut self, source: &Source, begin: usize, broken: &Broken) {
        let mut place = source.place(broken.at, None);
        let from = source.text.floor_char_boundary(broken.at.from as usize);
        let end = source.text.get(from..).and_then(|rest| rest.find("\n---")).map_or(source.text.len(), |length| from + length);
        let document = source.text.get(source.text.floor_char_boundary(begin.min(from))..end).unwrap_or_default();
        let of_other_kind = kinds_in(document).any(|kind| !matches!(kind, "UpstreamParams" | "ClusterAuth0Tenant" | "Namespace" | "List"));
        if of_other_kind || !document.contains(api::GROUP) {
            place.text = None;
        }
        let is_template = document.contains("{{");
        let remedy = if is_template { "; if this is a template, lint its output" } else { "" };
        self.unread.push(Unread { place, message: format!("{}{remedy}", broken.message), skipped: false });
    }
}

/// What stands after each `kind:` of a text that is no YAML.
fn kinds_in(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("kind").filter_map(|(at, word)| {
        let rest = text.get(at + word.len()..)?.trim_start_matches(['"', '\'']).trim_start().strip_prefix(':')?;
        let rest = rest.trim_start_matches([' ', '\t', '"', '\'']);
        rest.split(|c: char| !c.is_ascii_alphanumeric()).next().filter(|kind| !kind.is_empty())
    })
}

impl Source {
    fn place(&self, at: At, by_alias: Option<At>) -> Place {
        let from = self.text.floor_char_boundary(at.from as usize);
        // A line that is longer than people read is not searched to its ends, as there may be a finding at every byte of it.
        let window = self.text.floor_char_boundary(from.saturating_sub(LONGEST_LINE))..self.text.ceil_char_boundary(from + LONGEST_LINE);
        let before = self.text.get(window.start..from).unwrap_or_default().rfind(['\n', '\r']).map(|at| window.start + at + 1);
        let after = self.text.get(from..window.end).unwrap_or_default().find(['\n', '\r']).map(|length| from + length);
        let is_whole = (before.is_some() || window.start == 0) && (after.is_some() || window.end == self.text.len());
        let (begin, end) = (before.unwrap_or(window.start), after.unwrap_or(window.end));
        let until = self.text.floor_char_boundary(at.to as usize).clamp(from, end);
        let meant = self.text.get(from..until).unwrap_or_default().trim_end().chars().count();
        let column = at.column.max(1) as usize;
        Place {
            file: self.name.clone(),
            line: at.line as usize,
            column,
            end_column: column + meant.max(1),
            text: self.text.get(begin..end).filter(|_| is_whole).map(|line| line.trim_start_matches('\u{feff}').to_owned()),
            by_alias: by_alias.map(|alias| alias.line as usize),
        }
    }
}

/// A step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step<'a> {
    /// A member by its name.
    Member(&'a str),
    /// A member by its name, or an element by its position.
    Either(Cow<'a, str>),
}

/// The steps of a path such as `spec.params[blog].value`, or of a JSON pointer such as `/spec/params/blog/value`.
fn steps(path: &str) -> Vec<Step<'_>> {
    if let Some(pointer) = path.strip_prefix('/') {
        let unescaped = |step: &str| step.replace("~1", "/").replace("~0", "~");
        return pointer
            .split('/')
            .map(|step| Step::Either(if step.contains('~') { unescaped(step).into() } else { step.into() }))
            .collect();
    }
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('[') {
            let closes = |at: usize| matches!(inside.get(at + 1..).and_then(|after| after.chars().next()), None | Some('.' | '['));
            let end = inside.match_indices(']').map(|(at, _)| at).find(|at| closes(*at)).unwrap_or(inside.len());
            steps.push(Step::Either(inside.get(..end).unwrap_or_default().into()));
            rest = inside.get(end + 1..).unwrap_or_default();
        } else {
            rest = rest.strip_prefix('.').unwrap_or(rest);
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            steps.push(Step::Member(rest.get(..end).unwrap_or_default()));
            rest = rest.get(end..).unwrap_or_default();
        }
    }
    steps
}

/// Where a path leads.
struct Found<'a> {
    node: &'a Node,
    key_at: Option<At>,
    alias: Option<At>,
    /// Whether all of the path is there, or only its beginning.
    whole: bool,
}

impl Document {
    /// The place of the text or number at a path such as `spec.params[blog].value`, or at a JSON pointer. Where a list or a mapping
    /// is there, or nothing, the place of its key; where a part of the path is missing, that of the last key that is there.
    pub(in crate::cli) fn place(&self, path: &str) -> Place {
        let found = self.find(path);
        // Of what is in it, a list or a mapping is told apart by its key.
        let is_scalar = matches!(found.node.shape, Shape::Scalar(..)) && found.node.at.to > found.node.at.from;
        let at = match found.key_at {
            Some(key_at) if !found.whole || !is_scalar => key_at,
            Some(_) | None => found.node.at,
        };
        // What is missing from the document as a whole is said of its first line.
        self.source.place(at, found.alias)
    }

    /// The place of the key of the member that a path leads to.
    pub(in crate::cli) fn key_place(&self, path: &str) -> Place {
        let found = self.find(path);
        self.source.place(found.key_at.unwrap_or(found.node.at), found.alias)
    }

    /// The place where the document begins.
    pub(in crate::cli) fn begin(&self) -> Place {
        self.source.place(self.root.at, None)
    }

    /// How the scalar at a path is written, with the text as it stands in the file.
    pub(in crate::cli) fn written(&self, path: &str) -> Option<(Style, &str)> {
        let found = self.find(path);
        match &found.node.shape {
            Shape::Scalar(_, style) if found.whole => {
                Some((*style, self.source.text.get(found.node.at.from as usize..found.node.at.to as usize)?.trim_end()))
            }
            Shape::Scalar(..) | Shape::List(_) | Shape::Map(_) => None,
        }
    }

    fn find(&self, path: &str) -> Found<'_> {
        let mut found = Found { node: &self.root, key_at: None, alias: None, whole: true };
        for step in steps(path) {
            let next = match (&found.node.shape, &step) {
                (Shape::List(items), Step::Either(position)) => {
                    position.parse::<usize>().ok().and_then(|position| items.get(position)).map(|item| (item, item.node.at))
                }
                (Shape::Map(_), Step::Member(key)) => found.node.member(key).map(|member| (&member.item, member.key_at)),
                (Shape::Map(_), Step::Either(key)) => found.node.member(key).map(|member| (&member.item, member.key_at)),
                (Shape::List(_) | Shape::Scalar(..), _) => None,
            };
            let Some((item, key_at)) = next else {
                found.whole = false;
                return found;
            };
            found = Found { node: &item.node, key_at: Some(key_at), alias: item.alias.or(found.alias), whole: true };
        }
        found
    }
}

//! A document of YAML or JSON as a tree in which every node knows where it stands.
//!
//! Guarantees: what a node holds is what kubectl would send, merge keys and aliases included; a node that came by an alias keeps
//! the place where it is written. A document can't be larger than what it says, but for a bounded part that aliases add, and no
//! deeper than a thread's stack can bear.

use std::collections::HashMap;
use std::sync::Arc;

use granit_parser::{Event, ScalarStyle, Span, Tag};
use serde_json::{Map, Value};

use super::scalar::{self, Scalar};

/// Most nodes that aliases may add to a document.
const MOST_FROM_ALIASES: usize = 100_000;
/// How deep nodes may stand in each other, aliases followed.
const DEEPEST: usize = 500;

/// Where something stands in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At {
    /// The line, from 1.
    pub(super) line: u32,
    /// The column in characters, from 1.
    pub(super) column: u32,
    /// The first byte.
    pub(super) from: u32,
    /// The first byte after it.
    pub(super) to: u32,
}

impl At {
    pub(super) fn of(span: &Span) -> Self {
        let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let byte = |mark: &granit_parser::Marker| small(mark.byte_offset().unwrap_or_default());
        Self { line: small(span.start.line()), column: small(span.start.col() + 1), from: byte(&span.start), to: byte(&span.end) }
    }
}

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Style {
    /// Without quotes.
    Plain,
    /// In quotes.
    Quoted,
    /// Below `|` or `>`.
    Block,
}

/// A node.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) at: At,
    pub(super) shape: Shape,
    /// How many nodes there are here and below, aliases followed.
    size: usize,
    depth: usize,
}

/// What a node is.
#[derive(Debug)]
pub(super) enum Shape {
    Scalar(Value, Style),
    List(Vec<Item>),
    Map(Vec<Member>),
}

/// What stands in a list.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) node: Arc<Node>,
    /// The alias by which it came here.
    pub(super) alias: Option<At>,
}

/// What stands in a mapping.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) key: String,
    pub(super) key_at: At,
    pub(super) item: Item,
}

/// What is odd about the YAML itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Oddity {
    /// A key that stands there twice. kubectl keeps the later one, and says nothing.
    DuplicateKey(String),
    /// A key that kubectl turns into another text.
    RenamedKey {
        /// As it is written.
        written: String,
        /// What it becomes.
        becomes: String,
    },
    /// A key without quotes that is read as something else than a text, and becomes the same text again.
    UnquotedKey(String),
    /// A merge key below a key that it replaces. kubectl keeps what is merged in; YAML means the opposite.
    MergeReplaces(String),
}

/// Why a document can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) at: At,
    pub(super) message: String,
}

/// Builds the tree of one document from events.
#[derive(Default)]
pub(super) struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, Arc<Node>>,
    own_nodes: usize,
    /// How many members came by merge keys.
    merged: usize,
    root: Option<Item>,
    pub(super) oddities: Vec<(At, Oddity)>,
}

struct Open {
    at: At,
    anchor: usize,
    content: Content,
}

enum Content {
    List(Vec<Item>),
    Map { members: Vec<Member>, index: HashMap<String, usize>, merged: Vec<bool>, key: Option<Key> },
}

enum Key {
    Text(String, At),
    Merge,
}

impl Builder {
    /// Takes an event in.
    pub(super) fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), Broken> {
        let at = At::of(span);
        match event {
            Event::Scalar(text, style, anchor, tag) => self.scalar(&text, style, anchor, tag.as_deref(), at),
            Event::SequenceStart(_, anchor, _) => {
                self.key_is_no_collection(at)?;
                self.open.push(Open { at, anchor, content: Content::List(Vec::new()) });
                Ok(())
            }
            Event::MappingStart(_, anchor, _) => {
                self.key_is_no_collection(at)?;
                let content = Content::Map { members: Vec::new(), index: HashMap::new(), merged: Vec::new(), key: None };
                self.open.push(Open { at, anchor, content });
                Ok(())
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(at),
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    return Err(broken(at, "an alias inside its own anchor"));
                };
                self.put(Item { node, alias: Some(at) })
            }
            Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(..)
            | Event::DocumentEnd
            | Event::Anchor(..)
            | Event::UnresolvedAlias(_)
            | _ => Ok(()),
        }
    }

    /// The whole document; `None` where there is nothing in it.
    pub(super) fn finish(&mut self) -> Result<Option<Arc<Node>>, Broken> {
        let Some(Item { node, .. }) = self.root.take() else { return Ok(None) };
        if node.size.saturating_sub(self.own_nodes) > MOST_FROM_ALIASES {
            return Err(too_many(node.at));
        }
        Ok(Some(node))
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, anchor: usize, tag: Option<&Tag>, at: At) -> Result<(), Broken> {
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
            ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
        };
        let scalar = scalar::resolve(text, style == Style::Plain, tag);
        let is_merge = text == "<<" && style == Style::Plain && tag.is_none();
        if let Some(key) = self.awaited_key() {
            if is_merge {
                *key = Some(Key::Merge);
                return Ok(());
            }
            let name = scalar.key().ok_or_else(|| broken(at, "kubectl does not read this key as text; put it in quotes"))?;
            *key = Some(Key::Text(name.clone(), at));
            self.key_oddity(&scalar, style, text, name, at);
            if anchor != 0 {
                self.anchors.insert(anchor, leaf(at, Value::String(text.to_owned()), style));
            }
            return Ok(());
        }
        let value = scalar.json().ok_or_else(|| broken(at, "JSON has no such number; put it in quotes if it is a text"))?;
        self.own_nodes += 1;
        let node = leaf(at, value, style);
        self.named(anchor, &node);
        self.put(Item { node, alias: None })
    }

    fn key_oddity(&mut self, scalar: &Scalar, style: Style, written: &str, becomes: String, at: At) {
        let is_text = matches!(scalar, Scalar::Value(Value::String(_)));
        if is_text && (style != Style::Plain || !scalar::reads_differently(written)) {
            return;
        }
        let written = written.to_owned();
        let oddity = if written == becomes { Oddity::UnquotedKey(written) } else { Oddity::RenamedKey { written, becomes } };
        self.oddities.push((at, oddity));
    }

    /// The place for a key, where one comes next.
    fn awaited_key(&mut self) -> Option<&mut Option<Key>> {
        match self.open.last_mut() {
            Some(Open { content: Content::Map { key, .. }, .. }) if key.is_none() => Some(key),
            _ => None,
        }
    }

    fn key_is_no_collection(&mut self, at: At) -> Result<(), Broken> {
        if self.awaited_key().is_some() {
            return Err(broken(at, "a key that is a list or a mapping; if this is a template, lint its output"));
        }
        if self.open.len() >= DEEPEST {
            return Err(too_deep(at));
        }
        Ok(())
    }

    fn close(&mut self, end: At) -> Result<(), Broken> {
        let Some(Open { mut at, anchor, content }) = self.open.pop() else { return Ok(()) };
        at.to = at.to.max(end.to);
        let (shape, size, depth) = match content {
            Content::List(mut items) => {
                items.shrink_to_fit();
                let (size, depth) = measure(items.iter());
                (Shape::List(items), size, depth)
            }
            Content::Map { mut members, .. } => {
                members.shrink_to_fit();
                let (size, depth) = measure(members.iter().map(|member| &member.item));
                (Shape::Map(members), size, depth)
            }
        };
        if depth > DEEPEST {
            return Err(too_deep(at));
        }
        self.own_nodes += 1;
        let node = Arc::new(Node { at, shape, size, depth });
        self.named(anchor, &node);
        self.put(Item { node, alias: None })
    }

    fn named(&mut self, anchor: usize, node: &Arc<Node>) {
        if anchor != 0 {
            self.anchors.insert(anchor, Arc::clone(node));
        }
    }

    /// Puts a node where it belongs: into the collection that is open, or at the root.
    fn put(&mut self, item: Item) -> Result<(), Broken> {
        let place = item.alias.unwrap_or(item.node.at);
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(item),
            Some(Content::List(items)) => items.push(item),
            Some(Content::Map { members, index, merged, key }) => match key.take() {
                // An alias as a key.
                None => match &item.node.shape {
                    Shape::Scalar(Value::String(text), _) => *key = Some(Key::Text(text.clone(), place)),
                    Shape::Scalar(..) | Shape::List(_) | Shape::Map(_) => {
                        return Err(broken(place, "an alias as a key must be a text"));
                    }
                },
                Some(Key::Text(key, key_at)) => {
                    let member = Member { key: key.clone(), key_at, item };
                    if let Some((old, came_by_merge)) =
                        index.get(&key).and_then(|position| Some((members.get_mut(*position)?, merged.get_mut(*position)?)))
                    {
                        if !*came_by_merge {
                            self.oddities.push((key_at, Oddity::DuplicateKey(key)));
                        }
                        *came_by_merge = false;
                        *old = member;
                    } else {
                        index.insert(key, members.len());
                        members.push(member);
                        merged.push(false);
                    }
                }
                Some(Key::Merge) => {
                    for (alias, source) in merge_sources(&item, place)? {
                        self.merged += source.len();
                        if self.merged > MOST_FROM_ALIASES {
                            return Err(too_many(place));
                        }
                        for member in source {
                            let mut member = member.clone();
                            member.item.alias = alias.or(member.item.alias);
                            if let Some((old, came_by_merge)) =
                                index.get(&member.key).and_then(|position| Some((members.get_mut(*position)?, merged.get_mut(*position)?)))
                            {
                                if !*came_by_merge {
                                    self.oddities.push((place, Oddity::MergeReplaces(member.key.clone())));
                                }
                                *came_by_merge = true;
                                *old = member;
                            } else {
                                index.insert(member.key.clone(), members.len());
                                members.push(member);
                                merged.push(true);
                            }
                        }
                    }
                }
            },
        }
        Ok(())
    }
}

/// The members of a mapping that a merge key brings, and the alias by which they came.
type Merged<'a> = (Option<At>, &'a [Member]);

/// What a merge key brings, each with its alias, in the order in which kubectl takes it in: of several the first wins, so it
/// comes last.
fn merge_sources(item: &Item, place: At) -> Result<Vec<Merged<'_>>, Broken> {
    let refuse = || broken(place, "a merge key (<<) takes a mapping, or a list of mappings");
    match &item.node.shape {
        Shape::Map(members) => Ok(vec![(item.alias, members)]),
        Shape::List(items) => items
            .iter()
            .rev()
            .map(|inner| match &inner.node.shape {
                Shape::Map(members) => Ok((item.alias.or(inner.alias), members.as_slice())),
                Shape::Scalar(..) | Shape::List(_) => Err(refuse()),
            })
            .collect(),
        Shape::Scalar(..) => Err(refuse()),
    }
}

fn leaf(at: At, value: Value, style: Style) -> Arc<Node> {
    Arc::new(Node { at, shape: Shape::Scalar(value, style), size: 1, depth: 1 })
}

fn measure<'a>(items: impl Iterator<Item = &'a Item>) -> (usize, usize) {
    items.fold((1, 1), |(size, depth), item| (item.node.size.saturating_add(size), depth.max(item.node.depth + 1)))
}

fn broken(at: At, message: &str) -> Broken {
    Broken { at, message: message.to_owned() }
}

fn too_deep(at: At) -> Broken {
    broken(at, &format!("lists and mappings are nested more than {DEEPEST} deep"))
}

fn too_many(at: At) -> Broken {
    broken(at, &format!("aliases add more than {MOST_FROM_ALIASES} values to this document; write the values out"))
}

impl Node {
    /// The value. Only of a document that [`Builder::finish`] took for small enough.
    pub(super) fn value(&self) -> Value {
        match &self.shape {
            Shape::Scalar(value, _) => value.clone(),
            Shape::List(items) => items.iter().map(|item| item.node.value()).collect(),
            Shape::Map(members) => {
                Value::Object(members.iter().map(|member| (member.key.clone(), member.item.node.value())).collect::<Map<_, _>>())
            }
        }
    }

    /// The member of this name.
    pub(super) fn member(&self, key: &str) -> Option<&Member> {
        match &self.shape {
            Shape::Map(members) => members.iter().find(|member| member.key == key),
            Shape::Scalar(..) | Shape::List(_) => None,
        }
    }

    /// The text of the member of this name.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match &self.member(key)?.item.node.shape {
            Shape::Scalar(Value::String(text), _) => Some(text),
            Shape::Scalar(..) | Shape::List(_) | Shape::Map(_) => None,
        }
    }
}

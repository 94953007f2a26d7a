//! Which objects of a kind a list or watch is about.

use super::kind::Kind;
use super::object::Object;
use super::refusal::Refusal;

/// A namespace and a field selector.
#[derive(Clone, Debug, Default)]
pub(super) struct Selector {
    /// Empty: all.
    pub(super) namespace: String,
    fields: Vec<Field>,
}

#[derive(Clone, Debug)]
struct Field {
    name: &'static str,
    differs: bool,
    value: String,
}

impl Selector {
    pub(super) fn new(kind: Kind, namespace: &str, fields: &str) -> Result<Self, Refusal> {
        let fields = fields.split(',').filter(|part| !part.is_empty()).map(|part| Field::read(kind, part));
        Ok(Self { namespace: namespace.to_owned(), fields: fields.collect::<Result<_, _>>()? })
    }

    /// Whether there is a field selector.
    pub(super) fn selects(&self) -> bool {
        !self.fields.is_empty()
    }

    pub(super) fn takes(&self, object: &Object) -> bool {
        (self.namespace.is_empty() || object.key.namespace == self.namespace) && self.fields.iter().all(|field| field.takes(object))
    }
}

impl Field {
    fn read(kind: Kind, part: &str) -> Result<Self, Refusal> {
        let (name, differs, value) = if let Some((name, value)) = part.split_once("!=") {
            (name, true, value)
        } else {
            let (name, value) = part.split_once('=').ok_or_else(|| Refusal::selector(part))?;
            (name, false, value.strip_prefix('=').unwrap_or(value))
        };
        let known: &[&'static str] = match kind {
            Kind::Secret => &["metadata.name", "metadata.namespace", "type"],
            Kind::Event => &["metadata.name", "metadata.namespace", "reason", "type"],
            Kind::Object | Kind::Lease => &["metadata.name", "metadata.namespace"],
            Kind::Tenant | Kind::Namespace => &["metadata.name"],
        };
        let name = known.iter().copied().find(|known| *known == name).ok_or_else(|| Refusal::selector(part))?;
        Ok(Self { name, differs, value: value.to_owned() })
    }

    fn takes(&self, object: &Object) -> bool {
        let equal = match self.name {
            "metadata.name" => object.key.name == self.value,
            "metadata.namespace" => object.key.namespace == self.value,
            field => object.text_field(field) == self.value,
        };
        equal != self.differs
    }
}

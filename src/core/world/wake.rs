//! What a change of the world means to the drivers.

use super::declared::Declared;
use crate::core::pass::claims::{self, Record};
use crate::core::spec::Target;
use crate::model::identity::{ConnectionId, ObjectKey, Uid};

/// What an object that is gone left at Auth0.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Left {
    /// The object.
    pub object: ObjectKey,
    /// Its records.
    pub records: Vec<Record>,
}

impl Left {
    pub(super) fn of(gone: &Declared) -> Option<Self> {
        let records: Vec<Record> = claims::records(&gone.status).collect();
        (!records.is_empty()).then(|| Self { object: gone.key.clone(), records })
    }
}

impl std::fmt::Display for Left {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (nth, record) in self.records.iter().enumerate() {
            let names: Vec<&str> = record.owned.keys().map(String::as_str).collect();
            let comma = if nth == 0 { "" } else { "; " };
            write!(f, "{comma}{} on the connection {}", names.join(", "), record.called())?;
        }
        Ok(())
    }
}

/// Something that changed, and so whose pass is due.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wake {
    /// An object that is new or changed.
    Object(ObjectKey),
    /// An object of a namespace whose labels changed: nobody edited the object.
    Relabelled(ObjectKey),
    /// An object whose status somebody else wrote, and nothing else changed.
    Status(ObjectKey),
    /// An object that somebody took our finalizer from, and nothing else changed.
    Finalizer(ObjectKey),
    /// An object that somebody asks a look at, and nothing that it declares changed.
    Requested(ObjectKey),
    /// An object that is gone: whoever waited for its parameters may have them now.
    Gone {
        /// The object.
        object: ObjectKey,
        /// The tenant it belonged to.
        tenant: String,
        /// The connection it named.
        target: Option<Target>,
        /// The connections it held a record on.
        connections: Vec<ConnectionId>,
        /// What it left behind and should have removed: it was deleted while it did not have our finalizer.
        left: Option<Left>,
    },
    /// An object is gone that keeps no finalizer and left what it owned: somebody should be able to read of it.
    Left {
        /// The tenant it belonged to.
        tenant: String,
        /// Its uid.
        uid: Uid,
        /// What it left.
        left: Left,
        /// Why.
        why: &'static str,
    },
    /// A tenant's credentials.
    Tenant(String),
    /// The tenants: which of them serves depends on all of them.
    Tenants,
    /// A tenant of which somebody asks a look at everything.
    EverythingRequested(String),
}

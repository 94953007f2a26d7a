//! What a tenant has, as the command `connections -o json` printed it before.

use std::path::Path;

use anyhow::{Context, bail};
use serde::Deserialize;

use crate::core::strategy::{self, Support};

/// The largest file that is read, in bytes.
const LARGEST: u64 = 64 << 20;

/// The connections of one tenant. What else is in the file is passed over.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Known {
    /// The host that was asked.
    pub(super) domain: Option<String>,
    connections: Vec<Connection>,
}

/// One of them.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Connection {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) strategy: String,
    supported: Option<bool>,
    remark: Option<String>,
}

impl Known {
    /// Reads the file.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let size = std::fs::metadata(path).with_context(|| format!("--connections: {shown} cannot be read"))?.len();
        if size > LARGEST {
            bail!("--connections: {shown} has more than {} MiB", LARGEST >> 20);
        }
        let text = std::fs::read_to_string(path).with_context(|| format!("--connections: {shown} cannot be read"))?;
        // What serde says may hold a value of the file.
        serde_json::from_str(&text).ok().with_context(|| format!("--connections: {shown} is not the output of `connections -o json`"))
    }

    pub(super) fn by_name(&self, name: &str) -> Option<&Connection> {
        self.connections.iter().find(|connection| connection.name == name)
    }

    pub(super) fn by_id(&self, id: &str) -> Option<&Connection> {
        self.connections.iter().find(|connection| connection.id == id)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.connections.iter().map(|connection| connection.name.as_str())
    }
}

/// Whether a connection can have parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Suits {
    /// It can.
    Yes,
    /// It may; what is unusual.
    Perhaps(String),
    /// It can't; why.
    No(String),
}

impl Connection {
    /// Whether it can have parameters. What the file says of this connection goes before what its type says.
    pub(super) fn suits(&self) -> Suits {
        let remark = self.remark.clone();
        match (self.supported, strategy::of_type(&self.strategy)) {
            (Some(false) | None, Support::Unsupported(protocol)) => {
                Suits::No(crate::core::spec::unsupported_strategy(&self.strategy, protocol))
            }
            (Some(false), Support::Supported | Support::Unusual(_)) => {
                Suits::No(remark.unwrap_or_else(|| format!("upstream parameters do nothing on a connection of type {}", self.strategy)))
            }
            (Some(true), Support::Unusual(what)) => remark.map_or_else(|| Suits::Perhaps(what.to_owned()), Suits::Perhaps),
            (None, Support::Unusual(what)) => Suits::Perhaps(what.to_owned()),
            (Some(true), Support::Supported | Support::Unsupported(_)) => remark.map_or(Suits::Yes, Suits::Perhaps),
            (None, Support::Supported) => Suits::Yes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_file_says_goes_before_what_the_type_says() {
        let connection = |strategy: &str, supported: Option<bool>, remark: Option<&str>| {
            let (id, name, strategy) = ("con_1".into(), "a".into(), strategy.into());
            Connection { id, name, strategy, supported, remark: remark.map(str::to_owned) }.suits()
        };
        assert_eq!(connection("oidc", None, None), Suits::Yes);
        assert_eq!(connection("oidc", Some(true), None), Suits::Yes);
        assert!(matches!(connection("samlp", None, None), Suits::No(why) if why.contains("SAML")));
        assert!(matches!(connection("samlp", Some(false), Some("x")), Suits::No(why) if why.contains("SAML")));
        assert_eq!(connection("waad", Some(false), Some("WS-Federation")), Suits::No("WS-Federation".to_owned()));
        assert!(matches!(connection("waad", Some(false), None), Suits::No(why) if why.contains("waad")));
        assert!(matches!(connection("invented", None, None), Suits::Perhaps(_)));
        assert!(matches!(connection("oauth1", Some(true), None), Suits::Perhaps(_)));
    }
}

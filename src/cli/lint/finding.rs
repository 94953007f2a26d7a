//! What lint finds, and the rules by which it does.

use serde::Serialize;

use crate::cli::files::Place;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Severity {
    /// It is refused, or does something else than is written.
    Error,
    /// It deserves a look.
    Warning,
    /// What is good to know.
    Note,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) rule: Rule,
    pub(super) place: Place,
    pub(super) message: String,
    /// What to do, where the message does not say it.
    pub(super) help: Option<String>,
    /// Other places that have to do with it, each with what is there.
    pub(super) related: Vec<(Place, String)>,
    /// The object that it is about, as `UpstreamParams shop/blog`.
    pub(super) object: Option<String>,
}

impl Finding {
    pub(super) fn new(rule: Rule, place: Place, message: impl Into<String>) -> Self {
        Self { rule, place, message: message.into(), help: None, related: Vec::new(), object: None }
    }

    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    pub(super) fn related(mut self, place: Place, message: impl Into<String>) -> Self {
        self.related.push((place, message.into()));
        self
    }
}

/// Declares the rules: the id of each, how bad a breach is, what it says in a few words, and in full.
macro_rules! rules {
    ($($rule:ident = $id:literal, $severity:ident, $short:literal, $help:literal;)+) => {
        /// A rule.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum Rule {
            $(#[doc = $short] $rule,)+
        }

        impl Rule {
            /// All of them.
            pub(super) const ALL: &[Self] = &[$(Self::$rule,)+];

            /// The id, as it stands in every output.
            pub(super) fn id(self) -> &'static str {
                match self { $(Self::$rule => $id,)+ }
            }

            /// How bad a breach is.
            pub(super) fn severity(self) -> Severity {
                match self { $(Self::$rule => Severity::$severity,)+ }
            }

            /// What it says, in a few words.
            pub(super) fn short(self) -> &'static str {
                match self { $(Self::$rule => $short,)+ }
            }

            /// What it says, and what to do.
            pub(super) fn help(self) -> &'static str {
                match self { $(Self::$rule => $help,)+ }
            }
        }
    };
}

rules! {
    Unreadable = "unreadable", Error, "A file cannot be read",
        "The file or folder cannot be read, or does not exist. Check the path.";
    Skipped = "skipped", Warning, "A file or folder was skipped",
        "It is a symbolic link to a folder above it, or it is not a regular file. It was not read.";
    InvalidYaml = "invalid-yaml", Error, "The document is not YAML",
        "kubectl refuses a document that is not YAML. If it is a template, lint its output.";
    UnknownKind = "unknown-kind", Error, "The API group has no such kind",
        "The API group upstreamparams.dev has the kinds UpstreamParams and ClusterAuth0Tenant in the version v1alpha1, and no others.";
    UnknownField = "unknown-field", Error, "The kind has no such field",
        "The API server refuses or drops fields that the kind does not have. Correct the name, or remove the field.";
    MissingField = "missing-field", Error, "A field is missing",
        "The field is required. See kubectl explain for what it takes.";
    WrongType = "wrong-type", Error, "A value has the wrong type",
        "YAML reads 5, 1e3 and 0x1f as numbers, true, no, on and y as booleans, and null and ~ as nothing. Put a text in quotes.";
    InvalidValue = "invalid-value", Error, "A value breaks a rule",
        "The API server or the operator refuses the value. The message says what to write.";
    ImmutableField = "immutable-field", Error, "An immutable field is changed",
        "The files declare the same object twice, with different values of an immutable field. The API server refuses the second one.";
    DuplicateKey = "duplicate-key", Error, "A key is there twice",
        "kubectl keeps the later one and says nothing; other tools refuse the file. Remove one of the two.";
    RenamedKey = "renamed-key", Error, "A key is read as something else",
        "YAML reads keys such as on, no or 0x1f as booleans or numbers, and kubectl writes them differently: on becomes true. Put the key in quotes.";
    UnquotedKey = "unquoted-key", Warning, "A key should be in quotes",
        "Some readers of YAML take this key for a number, a boolean or a date. Put it in quotes.";
    MergeOrder = "merge-order", Warning, "A merge key replaces a key above it",
        "In YAML the keys of a mapping win over merged keys (<<). In kubectl the later key wins. Put << first.";
    AmbiguousText = "ambiguous-text", Warning, "A text should be in quotes",
        "Some readers of YAML take this text for a date or a number. Put it in quotes.";
    SurroundingBlanks = "surrounding-blanks", Warning, "A value begins or ends with a blank",
        "The blank is sent as a part of the value. Remove it, unless it is meant.";
    Placeholder = "placeholder", Warning, "A value looks like a placeholder",
        "Nothing fills in ${...}, {{...}} or <...>: a static value is sent as it is. To pass on what the application sends, write alias instead of value.";
    ReservedParam = "reserved-param", Warning, "The login itself sets this parameter",
        "The operator refuses it unless an access entry of the tenant lists it in allowedReservedParams for this namespace and connection.";
    ScopeParam = "scope-param", Warning, "The parameter scope replaces the scopes of the connection",
        "Write all scopes that the connection needs into the value, or set scopes at the connection.";
    DuplicateObject = "duplicate-object", Error, "An object is declared twice",
        "Two documents have the same kind, namespace and name. Whichever is applied last wins. Remove one, or give it another name.";
    ConflictingParam = "conflicting-param", Error, "Two objects set one parameter of one connection",
        "A parameter has one owner, and the second object gets the reason Conflicted. Remove the parameter from one of the two. With --connections, names and ids are compared too.";
    DuplicateTenant = "duplicate-tenant", Error, "Two objects are for one Auth0 tenant",
        "The operator uses the older ClusterAuth0Tenant, and refuses the other. Remove one of the two.";
    NotPermitted = "not-permitted", Note, "The tenant does not permit this namespace",
        "No access entry of the tenant in these files matches the labels of the namespace in these files and the connection. Add an entry, or a label.";
    UnknownConnection = "unknown-connection", Error, "The tenant has no such connection",
        "The connection is not in the file of --connections. Correct the name or the id, or create the connection first.";
    UnsupportedConnection = "unsupported-connection", Error, "The connection cannot have parameters",
        "Upstream parameters do nothing on connections of this type.";
    TooManyForConnection = "too-many-for-connection", Error, "The connection takes fewer parameters",
        "This type of connection has a lower limit. Remove some parameters.";
    UnusualConnection = "unusual-connection", Warning, "It is not certain that the connection takes parameters",
        "The connection may ignore upstream parameters. Look at what reaches the identity provider: the command verify shows it.";
}

//! The kinds: what users and platform teams write, what the operator answers, and every public name of both.
//!
//! The types are the schema (`crds/` is generated from them) and what clients and tests use. The operator itself reads
//! stored specs more leniently than these types do, because objects may be older than a rule.

/// Declares an enum whose variants are strings in the API, with `ALL`, `as_str`, `Display` and `FromStr`.
///
/// The schema is written out by hand as one flat `enum`: per-variant descriptions would become a `oneOf`, for which the
/// API server's messages do not list the supported values.
macro_rules! string_enum {
    ($(#[$meta:meta])* $vis:vis enum $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[derive(strum::Display, strum::EnumMessage, strum::EnumString, strum::IntoStaticStr, strum::VariantArray, strum::VariantNames)]
        #[strum(parse_err_ty = $crate::api::UnknownName, parse_err_fn = $crate::api::UnknownName::instead_of::<Self>)]
        $vis enum $name {
            $($(#[$variant_meta])* #[serde(rename = $text)] #[strum(serialize = $text)] $variant,)+
        }

        impl $name {
            /// Every variant, in the order of declaration.
            pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

            /// The text that stands in objects.
            pub fn as_str(self) -> &'static str {
                self.into()
            }

            /// What it means: the comment of the variant.
            pub fn meaning(self) -> &'static str {
                strum::EnumMessage::get_documentation(&self).unwrap_or_default()
            }
        }

        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "enum": <Self as strum::VariantNames>::VARIANTS })
            }
        }
    };
}

pub mod crd;
pub mod reason;
pub mod rules;
mod schema;
pub mod tenant;
pub mod upstream_params;

/// The API group of both kinds.
pub const GROUP: &str = "upstreamparams.dev";
/// The one version of both kinds.
pub const VERSION: &str = "v1alpha1";
/// The finalizer on an [`upstream_params::UpstreamParams`] that owns parameters which its deletion must remove.
pub const FINALIZER: &str = "upstreamparams.dev/parameters";
/// The annotation on either kind any new value of which has the object looked at once, or everything of the tenant.
pub const RECONCILE_AT: &str = "upstreamparams.dev/reconcile-at";

/// A text that is none of the names an enum of this API has.
///
/// The text itself is not kept: it may be a value that was put into the wrong field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unsupported value, use one of: {}", supported.join(", "))]
pub struct UnknownName {
    /// The names that are supported, in the order of declaration.
    pub supported: &'static [&'static str],
}

impl UnknownName {
    /// The refusal of a text where a name of this set was expected.
    fn instead_of<T: strum::VariantNames>(_: &str) -> Self {
        Self { supported: T::VARIANTS }
    }
}

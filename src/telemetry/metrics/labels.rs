//! The labels of metrics. Each has few values, or as many as there are tenants: none names a connection or an object.

use prometheus_client::encoding::EncodeLabelSet;

/// The label of most metrics.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct TenantLabel {
    /// The name of the `ClusterAuth0Tenant`.
    pub(super) tenant: String,
}

/// How a pass ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct PassLabels {
    /// The name of the `ClusterAuth0Tenant`.
    pub(super) tenant: String,
    /// The reason of the object's `Ready` afterwards.
    pub(super) outcome: String,
}

/// A call to the Management API.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct CallLabels {
    /// The name of the `ClusterAuth0Tenant`.
    pub(super) tenant: String,
    /// What was called.
    pub(super) route: String,
    /// The HTTP status, or `none` when there was no whole answer.
    pub(super) status: String,
}

/// How long calls to the Management API take: with the class of the status, as each series is a dozen.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct CallTimeLabels {
    /// The name of the `ClusterAuth0Tenant`.
    pub(super) tenant: String,
    /// What was called.
    pub(super) route: String,
    /// See [`result`].
    pub(super) result: &'static str,
}

/// A request to the API server.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RequestLabels {
    /// See [`crate::kubernetes::reach::Verb`].
    pub(super) verb: &'static str,
    /// See [`result`].
    pub(super) result: &'static str,
}

/// One of the two budgets of a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct BudgetLabels {
    /// The name of the `ClusterAuth0Tenant`.
    pub(super) tenant: String,
    /// `reads` or `requests`.
    pub(super) bucket: String,
}

/// Connections that wait for a pass.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct LaneLabels {
    /// The name of the `ClusterAuth0Tenant`.
    pub(super) tenant: String,
    /// `edit` or `routine`.
    pub(super) lane: &'static str,
}

/// Objects by how they are.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ObjectLabels {
    /// The name of the `ClusterAuth0Tenant`; empty when there is none of that name.
    pub(super) tenant: String,
    /// The status of the condition `Ready`: `True`, `False` or `Unknown`.
    pub(super) ready: String,
}

/// Which build this is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct BuildLabels {
    /// The version of the operator.
    pub(super) version: &'static str,
    /// The commit that it was built from, or `unknown`.
    pub(super) revision: &'static str,
}

/// The label of what is one tenant's.
pub(super) fn label(tenant: &str) -> TenantLabel {
    TenantLabel { tenant: tenant.to_owned() }
}

/// Every class of answers.
pub(super) const RESULTS: [&str; 5] = ["success", "rate_limited", "refused", "error", "none"];

/// The class of an answer with this HTTP status: what to do about it differs, and not by how it is measured.
pub(super) fn result(status: Option<u16>) -> &'static str {
    let [success, rate_limited, refused, error, none] = RESULTS;
    match status {
        Some(100..=399) => success,
        Some(429) => rate_limited,
        Some(400..=499) => refused,
        Some(_) => error,
        None => none,
    }
}

#[cfg(test)]
mod tests {
    use super::result;

    #[test]
    fn answers_are_classed_by_what_to_do_about_them() {
        for (status, expected) in [
            (Some(200), "success"),
            (Some(201), "success"),
            (Some(400), "refused"),
            (Some(404), "refused"),
            (Some(429), "rate_limited"),
            (Some(500), "error"),
            (Some(503), "error"),
            (Some(999), "error"),
            (None, "none"),
        ] {
            assert_eq!(result(status), expected, "{status:?}");
        }
    }
}

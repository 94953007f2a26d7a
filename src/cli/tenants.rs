//! How tenants are reached: the flags that every command has which talks to one.

use std::path::PathBuf;

use anyhow::Context;

use crate::auth0::{Transport, TransportOptions};
use crate::model::domain::AllowedDomains;

/// How tenants are reached. Each flag may be given as an environment variable.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Reaching tenants")]
pub(super) struct ReachArguments {
    /// The hosts that tenants may have, separated by commas. `*.` matches one or more labels.
    #[arg(long, env = "UPO_ALLOWED_DOMAINS", default_value = "*.auth0.com", value_delimiter = ',')]
    allowed_domains: Vec<String>,

    /// A PEM file of CA certificates to trust besides the system's, for a proxy that inspects TLS.
    #[arg(long, env = "UPO_EXTRA_CA")]
    extra_ca: Option<PathBuf>,

    /// Permit tenants with private IP addresses, such as a private link to Auth0.
    #[arg(long, env = "UPO_PERMIT_PRIVATE_ADDRESSES")]
    permit_private_addresses: bool,

    /// The HTTP proxy for requests to tenants, such as `http://proxy.example.com:3128`. Also read from `https_proxy`. For the API
    /// server, set `proxy-url` in the kubeconfig instead.
    #[arg(long, env = "HTTPS_PROXY", hide_env_values = true)]
    proxy: Option<String>,

    /// The tenants to reach without the proxy, separated by commas. Also read from `no_proxy`.
    #[arg(long, env = "NO_PROXY")]
    no_proxy: Option<String>,

    /// For tests only: send the requests for every tenant to this plain http address, with the tenant's domain as Host.
    #[arg(long, env = "UPO_INSECURE_TENANT_ENDPOINT", hide = true)]
    insecure_tenant_endpoint: Option<String>,
}

/// What reaches tenants.
pub(super) struct Reach {
    /// The hosts that tenants may have.
    pub(super) allowed: AllowedDomains,
    /// Sends their requests.
    pub(super) transport: Transport,
}

impl ReachArguments {
    /// What these flags make.
    pub(super) fn reach(self) -> anyhow::Result<Reach> {
        let allowed = AllowedDomains::parse(self.allowed_domains.iter().filter(|one| !one.is_empty())).context("--allowed-domains")?;
        if let Some(endpoint) = &self.insecure_tenant_endpoint {
            tracing::warn!(%endpoint, "all requests for tenants go to this plain http address; for tests only");
        }
        let transport = Transport::new(&TransportOptions {
            allowed_domains: allowed.clone(),
            extra_ca: self.extra_ca,
            permit_private_addresses: self.permit_private_addresses,
            proxy: proxy(self.proxy)?,
            no_proxy: given(self.no_proxy, "no_proxy"),
            endpoint_override: self.insecure_tenant_endpoint,
            ..TransportOptions::default()
        })?;
        Ok(Reach { allowed, transport })
    }
}

/// What was given, by flag or in upper case, or else stands in the variable of this name; an empty text says nothing.
pub(super) fn given(text: Option<String>, variable: &str) -> Option<String> {
    let said = |text: &String| !text.trim().is_empty();
    text.filter(said).or_else(|| std::env::var(variable).ok().filter(said)).map(|text| text.trim().to_owned())
}

/// The proxy for tenants. Without a scheme it is one that is spoken to in plain HTTP, as other programs take it.
fn proxy(text: Option<String>) -> anyhow::Result<Option<String>> {
    let Some(text) = given(text, "https_proxy") else { return Ok(None) };
    let url = if text.contains("://") { text } else { format!("http://{text}") };
    if !url.starts_with("http://") && !url.starts_with("https://") {
        anyhow::bail!("--proxy (or HTTPS_PROXY): only HTTP proxies can be used; write http://host:port");
    }
    Ok(Some(url))
}

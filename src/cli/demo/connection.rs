//! A connection as it is at the tenant, and what a login over it sends to the identity provider.
//!
//! Guarantees: options are compared as the text that the tenant has, so that a number or an order that changed is seen.

use std::collections::BTreeMap;

use anyhow::Context;
use auth0_emulator::{Json, Object};
use reqwest::{Client, Url, header};
use serde_json::{Map, Value};

use super::stage::Stage;

/// What the application sends to `/authorize` along with a login.
pub(super) const SENT: [(&str, &str); 2] = [("login_hint", "ada@example.com"), ("ui_locales", "fr")];

/// A connection at one moment.
pub(super) struct Connection {
    pub(super) name: String,
    pub(super) strategy: String,
    pub(super) params: Map<String, Value>,
    /// How many options it has beside them.
    pub(super) others: usize,
    /// All of it but its parameters, as text.
    rest: String,
    pub(super) login: Login,
}

impl Connection {
    /// Reads it from the tenant.
    pub(super) async fn read(stage: &Stage, name: &str) -> anyhow::Result<Self> {
        let text = stage.tenant.connection_text(name).with_context(|| format!("the tenant has no connection {name}"))?;
        let Ok(Json::Object(mut document)) = Json::parse(&text) else {
            anyhow::bail!("the connection {name} is no JSON object");
        };
        let (params, others) = match document.get_mut("options") {
            Some(Json::Object(options)) => (options.remove("upstream_params"), options.len()),
            _ => (None, 0),
        };
        Ok(Self {
            name: name.to_owned(),
            strategy: document.get("strategy").and_then(Json::as_str).unwrap_or_default().to_owned(),
            params: params.as_ref().and_then(Json::as_object).map(fields).unwrap_or_default(),
            others,
            rest: document.to_string(),
            login: Login::over(stage, name).await?,
        })
    }

    /// Whether all but the parameters is as it was, byte for byte.
    pub(super) fn kept_the_rest_of(&self, before: &Self) -> bool {
        self.rest == before.rest
    }
}

fn fields(object: &Object) -> Map<String, Value> {
    object.iter().map(|(name, value)| (name.to_owned(), value.to_value())).collect()
}

/// A parameter as a manifest has it: `blog: {value: myblog.wordpress.com}`.
pub(super) fn shown(name: &str, param: &Value) -> String {
    let entry = param.as_object().and_then(|param| param.iter().next());
    match entry {
        Some((kind, Value::String(text))) => format!("{name}: {{{kind}: {text}}}"),
        _ => format!("{name}: {param}"),
    }
}

/// What a login sends to the identity provider.
pub(super) struct Login {
    pub(super) query: BTreeMap<String, String>,
}

impl Login {
    /// Asks the tenant's `/authorize`, as an application would, where it redirects to. What is drawn anew for each login, as a
    /// nonce is, differs between two calls, and is left out.
    async fn over(stage: &Stage, connection: &str) -> anyhow::Result<Self> {
        let (first, second) = (redirect(stage, connection).await?, redirect(stage, connection).await?);
        let mut query: BTreeMap<String, String> = pairs(&first);
        let again = pairs(&second);
        query.retain(|name, value| again.get(name) == Some(value));
        Ok(Self { query })
    }

    /// What it sends that it did not send before.
    pub(super) fn news<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = (&'a String, &'a String)> {
        self.query.iter().filter(|(name, value)| before.query.get(*name) != Some(value))
    }
}

fn pairs(url: &Url) -> BTreeMap<String, String> {
    url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

async fn redirect(stage: &Stage, connection: &str) -> anyhow::Result<Url> {
    let mut url = Url::parse(&format!("{}/authorize", stage.emulator.url()))?;
    url.query_pairs_mut()
        .extend_pairs([("client_id", "app"), ("response_type", "code"), ("redirect_uri", "https://app.example.com/callback")])
        .extend_pairs([("state", "xyz"), ("scope", "openid"), ("connection", connection)])
        .extend_pairs(SENT);
    let client = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build()?;
    let answer =
        client.get(url).header(header::HOST, stage.tenant.domain()).send().await.context("the tenant's /authorize does not answer")?;
    let location = answer.headers().get(header::LOCATION).context("/authorize did not redirect")?;
    Ok(Url::parse(location.to_str()?)?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_parameter_is_shown_as_a_manifest_has_it() {
        assert_eq!(shown("blog", &json!({"value": "x.example"})), "blog: {value: x.example}");
        assert_eq!(shown("odd", &json!(7)), "odd: 7");
    }

    #[test]
    fn news_are_what_was_not_sent_before() {
        let login =
            |query: &[(&str, &str)]| Login { query: query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect() };
        let (before, after) = (login(&[("a", "1"), ("b", "2")]), login(&[("a", "1"), ("b", "3"), ("c", "4")]));
        let news: Vec<(&str, &str)> = after.news(&before).map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(news, [("b", "3"), ("c", "4")]);
    }
}

//! `emulator`: an Auth0 tenant to play with, for people, for this operator, and for the tools that teams come from.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use auth0_emulator::{PLAY_CLIENT, PLAY_DOMAIN, Play, Secure};
use tokio::signal::unix::{SignalKind, signal};

use super::exit::Exit;
use super::runtime::LogArguments;

/// Flags of `emulator`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The port on 127.0.0.1, for plain HTTP; 0 takes any.
    #[arg(long, default_value_t = 8090)]
    port: u16,

    /// How many connections it has.
    #[arg(long, default_value_t = 5)]
    connections: usize,

    /// Serve HTTPS beside it, for tools that speak nothing else, with a certificate authority that is made for this.
    #[arg(long)]
    tls: bool,

    /// The port on 127.0.0.1 for HTTPS; 0 takes any.
    #[arg(long, default_value_t = 8443, requires = "tls")]
    tls_port: u16,

    /// Where to write the certificate of the authority, as PEM [default: a new file in the folder for temporary files].
    #[arg(long, value_name = "FILE", requires = "tls")]
    ca_file: Option<PathBuf>,

    #[command(flatten)]
    log: LogArguments,
}

/// Serves until Ctrl-C or SIGTERM.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    arguments.log.block_on(async {
        let play = auth0_emulator::play(arguments.port, arguments.connections)
            .with_context(|| format!("can't serve on port {}; choose another --port", arguments.port))?;
        let mut text = play.recipe.clone();
        let mut made = None;
        if arguments.tls {
            let secure = play
                .emulator
                .secure(arguments.tls_port, &play.tenant)
                .with_context(|| format!("can't serve on port {}; choose another --tls-port", arguments.tls_port))?;
            let file = Authority::write(arguments.ca_file.as_deref(), &secure.authority)?;
            text.push_str(&for_tools(&secure, &file.path, &play.tenant.audience()));
            made = Some(file);
        }
        text.push_str(&for_the_operator(&play));
        super::output::print(&text)?;
        ended().await?;
        play.emulator.stop();
        drop(made);
        Ok(Exit::Fine)
    })
}

/// Waits until somebody ends it.
async fn ended() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("can't listen for SIGTERM")?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        pressed = tokio::signal::ctrl_c() => pressed.context("can't listen for Ctrl-C"),
    }
}

/// The file with the certificate of the authority. One that nobody asked for by name goes with the emulator.
struct Authority {
    path: PathBuf,
    is_ours: bool,
}

impl Authority {
    fn write(asked: Option<&Path>, pem: &str) -> anyhow::Result<Self> {
        let is_ours = asked.is_none();
        let path = match asked {
            Some(path) => std::path::absolute(path).context("--ca-file")?,
            None => std::env::temp_dir().join(format!("auth0-emulator-{}-ca.pem", std::process::id())),
        };
        // In a folder that everybody may write to, nothing that somebody else put there is followed or written over.
        let mut options = OpenOptions::new();
        if is_ours {
            options.write(true).create_new(true)
        } else {
            options.write(true).create(true).truncate(true)
        };
        let written = options.open(&path).and_then(|mut file| file.write_all(pem.as_bytes()));
        written.with_context(|| format!("can't write {}; choose another --ca-file", path.display()))?;
        Ok(Self { path, is_ours })
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        if self.is_ours {
            drop(std::fs::remove_file(&self.path));
        }
    }
}

/// The environment of tools that insist on HTTPS.
fn for_tools(secure: &Secure, ca_file: &Path, audience: &str) -> String {
    let (client_id, client_secret) = PLAY_CLIENT;
    let file = quoted(&ca_file.display().to_string());
    format!(
        "
It listens at https://{host} too. Let tools trust its authority, whose certificate is in {shown}:

  export NODE_EXTRA_CA_CERTS={file}   # Node
  export SSL_CERT_FILE={file}         # Go, Python's ssl, OpenSSL
  export REQUESTS_CA_BUNDLE={file}    # Python's requests
  export CURL_CA_BUNDLE={file}        # curl

And let auth0-deploy-cli and the Terraform provider find it. The address is like a custom domain, so they need the audience:

  export AUTH0_DOMAIN={host}
  export AUTH0_AUDIENCE={audience}
  export AUTH0_CLIENT_ID={client_id}
  export AUTH0_CLIENT_SECRET={client_secret}
",
        host = secure.host,
        shown = ca_file.display(),
    )
}

/// The two commands that put the operator beside it.
fn for_the_operator(play: &Play) -> String {
    let (client_id, client_secret) = PLAY_CLIENT;
    // As it was called: what is run by cargo or from a folder is not found by its name.
    let this = std::env::args_os().next().map_or_else(|| "upstream-params-operator".to_owned(), |name| name.to_string_lossy().into_owned());
    let (this, url) = (quoted(&this), play.emulator.url());
    format!(
        "
Put the operator beside it, on the cluster of your kubeconfig. First what it needs there:

{this} crds | kubectl apply --server-side -f - &&
kubectl wait --for=condition=Established --timeout=60s crd/upstreamparams.upstreamparams.dev crd/clusterauth0tenants.upstreamparams.dev &&
kubectl apply -f - <<'EOF'
apiVersion: v1
kind: Secret
metadata: {{name: emulator, namespace: default}}
stringData: {{clientId: {client_id}, clientSecret: {client_secret}}}
---
apiVersion: upstreamparams.dev/v1alpha1
kind: ClusterAuth0Tenant
metadata: {{name: default}}
spec:
  domain: {PLAY_DOMAIN}
  credentials: {{secretRef: {{name: emulator}}}}
  access: [{{namespaceSelector: {{}}, connections: ['*']}}]
EOF

Then the operator itself, until Ctrl-C:

{this} controller --namespace default --allowed-domains {PLAY_DOMAIN} --insecure-tenant-endpoint {url}

Or look at it with the other commands, such as plan and export, which find it as this one does:

AUTH0_CLIENT_ID={client_id} AUTH0_CLIENT_SECRET={client_secret} {this} connections --domain {PLAY_DOMAIN} --allowed-domains {PLAY_DOMAIN} --insecure-tenant-endpoint {url}
"
    )
}

/// A word of a shell.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_a_shell_is_quoted_where_it_needs_to_be() {
        assert_eq!(quoted("target/debug/a-b_c.d"), "target/debug/a-b_c.d");
        assert_eq!(quoted("/my folder/it's"), r"'/my folder/it'\''s'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn a_file_that_nobody_named_goes_with_the_emulator_and_one_that_is_named_stays() {
        let ours = Authority::write(None, "PEM").unwrap();
        let path = ours.path.clone();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "PEM");
        assert!(Authority::write(None, "PEM").is_err(), "nothing that is there is written over");
        drop(ours);
        assert!(!path.exists());
        let named = path.with_extension("named");
        for text in ["a longer text", "PEM"] {
            drop(Authority::write(Some(&named), text).unwrap());
            assert_eq!(std::fs::read_to_string(&named).unwrap(), text);
        }
        std::fs::remove_file(named).unwrap();
    }
}

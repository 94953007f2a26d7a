//! Holds the emulator against recorded traffic of real tenants.
//!
//! `cargo run -p auth0-emulator --example check_recordings -- FOLDER`, where FOLDER has `connections/`, `transitions/` and `errors/` with one JSON
//! file per interaction. Prints how many agree and how the others differ.
//!
//! What a recording cannot hold is given or masked: discovery documents and SAML metadata that the tenant fetched are served as the
//! recorded answer shows them; ids, tickets, ciphertext and Microsoft's certificates are compared as "present".

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use auth0_emulator::{ALL_SCOPES, Emulator, Fault, Json, Object, Options, RateLimited, TOOL_SCOPES, TenantHandle};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Keys whose presence depends on the year of the recording: the emulator does what the newest ones show.
const BY_YEAR: [&str; 23] = [
    "authentication",
    "connected_accounts",
    "display_name",
    "enabled_clients",
    "show_as_button",
    "is_domain_connection",
    "provisioning_ticket_url",
    "passwordPolicy",
    "password_options",
    "passkey_options",
    "authentication_methods",
    "attributes",
    "strategy_version",
    "brute_force_protection",
    "attribute_map",
    "connection_settings",
    "schema_version",
    "oidc_metadata",
    "assertion_decryption_settings",
    "bindingMethod",
    "metadataXml",
    "userid_attribute",
    "waad_common_endpoint",
];

struct Lab {
    emulator: Emulator,
    count: usize,
}

struct Bench {
    address: SocketAddr,
    domain: String,
    tenant: TenantHandle,
    token: String,
}

struct Reply {
    status: u16,
    text: String,
}

impl Lab {
    fn bench(&mut self) -> Outcome<Bench> {
        self.count += 1;
        let domain = format!("t{}.auth0.com", self.count);
        let tenant = self.emulator.tenant(&domain);
        tenant.add_client("c", "s", ALL_SCOPES.iter().chain(&TOOL_SCOPES).chain(&["create:scim_config", "create:directory_provisionings"]));
        let mut bench = Bench { address: self.emulator.addr(), domain, tenant, token: String::new() };
        let body = format!(
            r#"{{"grant_type":"client_credentials","client_id":"c","client_secret":"s","audience":"{}"}}"#,
            bench.tenant.audience()
        );
        let reply = bench.send("POST", "/oauth/token", Some(&body))?;
        let reply = Json::parse(&reply.text)?;
        let token = reply.get("access_token").and_then(Json::as_str).unwrap_or_default();
        token.clone_into(&mut bench.token);
        Ok(bench)
    }
}

impl Bench {
    fn send(&self, method: &str, path: &str, body: Option<&str>) -> Outcome<Reply> {
        let body = body.unwrap_or_default();
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", self.domain);
        write!(head, "content-length: {}\r\n", body.len())?;
        if !body.is_empty() {
            head.push_str("content-type: application/json\r\n");
        }
        if !self.token.is_empty() {
            write!(head, "authorization: Bearer {}\r\n", self.token)?;
        }
        let mut stream = TcpStream::connect(self.address)?;
        stream.write_all(format!("{head}\r\n{body}").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, text) = answer.split_once("\r\n\r\n").ok_or("no end of headers")?;
        let status = head.split(' ').nth(1).ok_or("no status")?.parse()?;
        Ok(Reply { status, text: text.to_owned() })
    }
}

/// Tallies of one kind of check.
#[derive(Default)]
struct Tally {
    files: usize,
    exact: usize,
    same_but_year: usize,
    same_order: usize,
    keys: usize,
    keys_same: usize,
    differences: BTreeMap<String, Vec<String>>,
}

impl Tally {
    fn percent(part: usize, whole: usize) -> String {
        let permille = part * 1000 / whole.max(1);
        format!("{part}/{whole} ({}.{}%)", permille / 10, permille % 10)
    }

    fn report(&self, title: &str, out: &mut impl Write) -> Outcome<()> {
        writeln!(
            out,
            "\n== {title}: exact {}, equal but for keys that depend on the year {}, same key order {}, keys {}",
            Self::percent(self.exact, self.files),
            Self::percent(self.same_but_year, self.files),
            Self::percent(self.same_order, self.files),
            Self::percent(self.keys_same, self.keys),
        )?;
        for (difference, files) in &self.differences {
            let example = files.first().map(String::as_str).unwrap_or_default();
            writeln!(out, "   {:3} x {difference}   e.g. {example}", files.len())?;
        }
        Ok(())
    }

    fn compare(&mut self, file: &str, strategy: &str, recorded: &Json, emulated: &Json) {
        self.files += 1;
        let (recorded, emulated) = (mask(recorded, strategy), mask(emulated, strategy));
        self.same_order += usize::from(order(&recorded, &emulated));
        let mut differences = Vec::new();
        let (flat_recorded, flat_emulated) = (flatten(&recorded), flatten(&emulated));
        for (key, value) in &flat_recorded {
            self.keys += 1;
            match flat_emulated.get(key) {
                None => differences.push((key.clone(), "only recorded")),
                Some(other) if other.clone().reordered() != value.clone().reordered() => {
                    differences.push((key.clone(), "other value"));
                }
                Some(_) => self.keys_same += 1,
            }
        }
        for key in flat_emulated.keys().filter(|key| !flat_recorded.contains_key(*key)) {
            differences.push((key.clone(), "only emulated"));
        }
        self.exact += usize::from(differences.is_empty());
        let by_year = |key: &str| BY_YEAR.contains(&key.rsplit('.').next().unwrap_or_default());
        self.same_but_year += usize::from(differences.iter().all(|(key, _)| by_year(key)));
        for (key, kind) in differences {
            let year = if by_year(&key) { " (year)" } else { "" };
            self.differences.entry(format!("{strategy:14} {key}: {kind}{year}")).or_default().push(file.to_owned());
        }
    }
}

/// Replaces what no emulator can know.
fn mask(document: &Json, strategy: &str) -> Json {
    let Json::Object(mut document) = document.clone() else {
        return document.clone();
    };
    for key in ["id", "provisioning_ticket_url"] {
        if let Some(value) = document.get_mut(key) {
            *value = Json::string("masked");
        }
    }
    if let Some(Json::Object(options)) = document.get_mut("options") {
        if let Some(Json::Object(configuration)) = options.get_mut("configuration") {
            let keys: Vec<String> = configuration.keys().map(str::to_owned).collect();
            for key in keys {
                configuration.insert(key, Json::string("ciphertext"));
            }
        }
        for key in ["thumbprints", "app_domain"] {
            if let Some(value) = options.get_mut(key).filter(|_| strategy == "waad") {
                *value = Json::string("masked");
            }
        }
    }
    document.into()
}

fn flatten(document: &Json) -> BTreeMap<String, Json> {
    let mut out = BTreeMap::new();
    for (key, value) in document.as_object().into_iter().flat_map(Object::iter) {
        if let ("options", Some(options)) = (key, value.as_object()) {
            out.insert("options".to_owned(), Json::Bool(true));
            for (key, value) in options.iter() {
                out.insert(format!("options.{key}"), value.clone());
            }
        } else {
            out.insert(key.to_owned(), value.clone());
        }
    }
    out
}

/// Whether the keys both documents have come in the same order, at the top and in `options`.
fn order(left: &Json, right: &Json) -> bool {
    let common = |one: &Json, other: &Json| -> Vec<String> {
        let keys = one.as_object().into_iter().flat_map(Object::keys);
        keys.filter(|key| other.get(key).is_some()).map(str::to_owned).collect()
    };
    let same = |left: &Json, right: &Json| common(left, right) == common(right, left);
    let options = match (left.get("options"), right.get("options")) {
        (Some(left), Some(right)) => same(left, right),
        _ => true,
    };
    same(left, right) && options
}

fn text<'a>(document: &'a Json, path: &[&str]) -> Option<&'a str> {
    let mut at = document;
    for key in path {
        at = at.get(key)?;
    }
    at.as_str()
}

/// Serves what the recorded tenant must have fetched.
fn outside_world(tenant: &TenantHandle, request: &Json, response: &Json) {
    if let (Some(url), Some(metadata)) =
        (text(request, &["options", "discovery_url"]), response.get("options").and_then(|options| options.get("oidc_metadata")))
        && request.get("options").is_some_and(|options| options.get("oidc_metadata").is_none())
    {
        tenant.serve_document(url, &metadata.to_string());
    }
    let fetched = text(request, &["options", "signingCert"]).is_none();
    if let (Some(url), Some(certificate), true) =
        (text(request, &["options", "metadataUrl"]), text(response, &["options", "cert"]), fetched)
    {
        let body: String = certificate.lines().filter(|line| !line.starts_with("-----")).collect();
        let option = |key: &str| text(response, &["options", key]).unwrap_or_default();
        let (sign_in, sign_out, binding) = (option("signInEndpoint"), option("signOutEndpoint"), option("bindingMethod"));
        let xml = format!(
            "<SingleLogoutService Location=\"{sign_out}\"/><SingleSignOnService Binding=\"{binding}\" Location=\"{sign_in}\"/>\
             <X509Certificate>{body}</X509Certificate>"
        );
        tenant.serve_document(url, &xml);
    }
}

fn files(folder: &Path, kind: &str) -> Outcome<Vec<(String, Json)>> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder.join(kind))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            out.push((name, Json::parse(&std::fs::read_to_string(&path)?)?));
        }
    }
    out.sort_by(|(left, _), (right, _)| left.cmp(right));
    Ok(out)
}

fn transitions(lab: &mut Lab, folder: &Path) -> Outcome<[Tally; 2]> {
    let (mut patches, mut afters) = (Tally::default(), Tally::default());
    for (name, file) in files(folder, "transitions")? {
        let (Some(before), Some(request), Some(response)) = (file.get("before"), file.get("request"), file.get("response")) else {
            continue;
        };
        let bench = lab.bench()?;
        let id = bench.tenant.restore_connection(&before.to_string())?;
        bench.tenant.configure(|settings| {
            settings.legacy_enabled_clients = response.get("enabled_clients").is_some();
        });
        outside_world(&bench.tenant, request, response);
        let path = format!("/api/v2/connections/{id}");
        let reply = bench.send("PATCH", &path, Some(&request.to_string()))?;
        let strategy = text(before, &["strategy"]).unwrap_or("?");
        patches.compare(&name, strategy, response, &Json::parse(&reply.text)?);
        if reply.status != 200 {
            patches.differences.entry(format!("{strategy:14} status {}", reply.status)).or_default().push(name.clone());
        }
        if let Some(after) = file.get("after").filter(|after| !after.is_null()) {
            let reply = bench.send("GET", &path, None)?;
            afters.compare(&name, strategy, after, &Json::parse(&reply.text)?);
        }
    }
    Ok([patches, afters])
}

fn interactions(lab: &mut Lab, folder: &Path) -> Outcome<[Tally; 5]> {
    let [mut posts, mut newest, mut gets, mut lists, mut deletes] = std::array::from_fn(|_| Tally::default());
    for (name, file) in files(folder, "connections")? {
        let (Some(method), Some(path), Some(response)) = (text(&file, &["method"]), text(&file, &["path"]), file.get("response")) else {
            continue;
        };
        let strategy = text(response, &["strategy"]).unwrap_or("?");
        let bench = lab.bench()?;
        let listed = response.get("connections");
        match method {
            "POST" => {
                let request = file.get("request").unwrap_or(&Json::Null);
                outside_world(&bench.tenant, request, response);
                let reply = bench.send("POST", path, Some(&request.to_string()))?;
                let emulated = Json::parse(&reply.text)?;
                posts.compare(&name, strategy, response, &emulated);
                if response.get("authentication").is_some() {
                    newest.compare(&name, strategy, response, &emulated);
                }
            }
            "GET" if listed.is_some() => {
                let Some(Json::Array(connections)) = listed else {
                    continue;
                };
                for connection in connections {
                    bench.tenant.restore_connection(&connection.to_string())?;
                }
                bench.tenant.configure(|settings| settings.legacy_enabled_clients = true);
                let reply = bench.send("GET", path, None)?;
                let emulated = Json::parse(&reply.text)?;
                lists.compare(&name, "list", response, &emulated);
            }
            "GET" => {
                let id = bench.tenant.restore_connection(&response.to_string())?;
                bench.tenant.configure(|settings| settings.legacy_enabled_clients = true);
                let query = path.split_once('?').map(|(_, query)| format!("?{query}")).unwrap_or_default();
                let reply = bench.send("GET", &format!("/api/v2/connections/{id}{query}"), None)?;
                gets.compare(&name, strategy, response, &Json::parse(&reply.text)?);
            }
            "DELETE" => {
                let id = bench.tenant.restore_connection("{}")?;
                let reply = bench.send("DELETE", &format!("/api/v2/connections/{id}"), None)?;
                let blank = |mut document: Object| {
                    document.insert("deleted_at", Json::string("masked"));
                    Json::Object(document)
                };
                let emulated = Json::parse(&reply.text)?.as_object().cloned().unwrap_or_default();
                deletes.compare(&name, "?", &blank(response.as_object().cloned().unwrap_or_default()), &blank(emulated));
            }
            _ => {}
        }
    }
    Ok([posts, newest, gets, lists, deletes])
}

fn errors(lab: &mut Lab, folder: &Path) -> Outcome<Tally> {
    let mut tally = Tally::default();
    for (name, file) in files(folder, "errors")? {
        let (Some(method), Some(path), Some(response)) = (text(&file, &["method"]), text(&file, &["path"]), file.get("response")) else {
            continue;
        };
        if !path.starts_with("/api/v2/connections") {
            continue;
        }
        let bench = lab.bench()?;
        let rest = path.split('?').next().unwrap_or_default().strip_prefix("/api/v2/connections/").unwrap_or_default();
        let (id, under) = rest.split_once('/').unwrap_or((rest, ""));
        let is_there = text(response, &["errorCode"]) != Some("inexistent_connection");
        if !id.is_empty() && is_there && (method == "PATCH" || !under.is_empty()) {
            let stored = format!(r#"{{"id":"{id}","name":"db","strategy":"auth0","options":{{}}}}"#);
            bench.tenant.restore_connection(&stored)?;
        }
        if text(response, &["errorCode"]) == Some("too_many_requests") {
            let global = text(response, &["message"]).is_some_and(|message| message.starts_with("Global"));
            bench.tenant.inject(Fault::rate_limited(RateLimited { global, ..RateLimited::default() }));
        }
        let request = file.get("request").filter(|request| !request.is_null()).map(ToString::to_string);
        let reply = bench.send(method, path, request.as_deref())?;
        tally.compare(&name, &format!("{method} {}", reply.status), response, &Json::parse(&reply.text)?);
    }
    Ok(tally)
}

fn main() -> Outcome<()> {
    let folder = std::env::args().nth(1).ok_or("usage: check_recordings FOLDER")?;
    let folder = Path::new(&folder);
    let mut lab = Lab { emulator: Emulator::start(Options::default())?, count: 0 };
    let mut out = std::io::stdout().lock();
    let [patches, afters] = transitions(&mut lab, folder)?;
    patches.report("PATCH answers (transitions)", &mut out)?;
    afters.report("GET after PATCH (transitions)", &mut out)?;
    let [posts, newest, gets, lists, deletes] = interactions(&mut lab, folder)?;
    posts.report("POST answers", &mut out)?;
    newest.report("POST answers of the newest kind (with `authentication`)", &mut out)?;
    gets.report("GET of one (stored as recorded)", &mut out)?;
    lists.report("GET of many (stored as recorded)", &mut out)?;
    deletes.report("DELETE answers", &mut out)?;
    errors(&mut lab, folder)?.report("errors of connections", &mut out)?;
    Ok(())
}

//! What a transport reaches, what it refuses, and what it makes of an answer.

use std::net::SocketAddr;

use auth0_emulator::Fault;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::auth0::addresses::public;
use crate::auth0::certified;
use crate::auth0::scripted::{Reply, Server};

/// Looks every name up in the same list, through the same filter as the real one.
struct Table(Vec<SocketAddr>);

impl Resolve for Table {
    fn resolve(&self, _: Name) -> Resolving {
        let found = self.0.clone();
        Box::pin(async move { public(found.into_iter()) })
    }
}

/// Looks every name up in the same list, and filters nothing.
struct Anywhere(Vec<SocketAddr>);

impl Resolve for Anywhere {
    fn resolve(&self, _: Name) -> Resolving {
        let found = self.0.clone();
        Box::pin(async move { if found.is_empty() { Err("no such name".into()) } else { Ok(Box::new(found.into_iter()) as Addrs) } })
    }
}

async fn asked(resolver: impl Resolve + 'static) -> Failure {
    asked_of("example.auth0.com", resolver, &TransportOptions::default()).await.expect_err("no answer")
}

async fn asked_of(host: &str, resolver: impl Resolve + 'static, options: &TransportOptions) -> Result<u16, Failure> {
    install_crypto_provider();
    let certificates = extra_certificates(options).expect("certificates");
    let builder = base_client(options).https_only(true).tls_certs_merge(certificates).dns_resolver(resolver);
    let transport = Transport::finish(builder, options, None).expect("transport");
    let domain = Domain::parse(host).expect("domain");
    let route = Route::ReadConnection;
    let question = Question { route, method: Method::GET, path: "/", query: &[], bearer: None, correlation_id: None, body: None };
    transport.send(&domain, question).await.map(|answer| answer.status)
}

#[tokio::test]
async fn a_certificate_must_be_trusted_and_be_that_of_the_host() {
    install_crypto_provider();
    let (address, pem) = certified::serve("example.auth0.com");
    let file = std::env::temp_dir().join(format!("upstream-params-operator-ca-{}.pem", std::process::id()));
    std::fs::write(&file, pem).expect("a file");
    let trusting = TransportOptions { extra_ca: Some(file.clone()), ..TransportOptions::default() };
    let untrusted = Err(Failure::Unreachable { why: Unreached::Tls });
    let anywhere = || Anywhere(vec![address]);
    assert_eq!(asked_of("example.auth0.com", anywhere(), &trusting).await, Ok(200));
    assert_eq!(asked_of("other.auth0.com", anywhere(), &trusting).await, untrusted);
    assert_eq!(asked_of("example.auth0.com", anywhere(), &TransportOptions::default()).await, untrusted);
    std::fs::remove_file(file).expect("removed");
}

#[tokio::test]
async fn a_host_inside_a_private_network_gets_no_connection() {
    let server = Server::start(|_| Reply::Silence).await;
    let address: SocketAddr = server.url.trim_start_matches("http://").parse().expect("an address");
    let refused = Failure::AddressNotAllowed { domain: Domain::parse("example.auth0.com").expect("domain") };
    assert_eq!(asked(Table(vec![address])).await, refused);
    assert_eq!(asked(Table(vec![([169, 254, 169, 254], 443).into(), ([10, 0, 0, 1], 443).into()])).await, refused);
    assert!(server.received().is_empty());
}

#[tokio::test]
async fn what_stands_in_the_way_of_a_connection_is_told_apart() {
    let server = Server::start(|_| Reply::Silence).await;
    let plain: SocketAddr = server.url.trim_start_matches("http://").parse().expect("an address");
    let garbage = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let noise = garbage.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = garbage.accept().await {
            // Read first: closing with bytes unread resets the connection before the other side sees an answer.
            let _ = stream.read_u8().await;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            let _ = stream.shutdown().await;
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    });
    assert_eq!(asked(Anywhere(vec![noise])).await, Failure::Unreachable { why: Unreached::Tls });
    assert_eq!(asked(Anywhere(vec![])).await, Failure::Unreachable { why: Unreached::Name });
    drop(server);
    tokio::task::yield_now().await;
    assert_eq!(asked(Anywhere(vec![plain])).await, Failure::Unreachable { why: Unreached::Connect });
}

/// A token of this tenant, for a client that it gets.
fn token(tenant: &auth0_emulator::TenantHandle) -> String {
    tenant.add_client("id", "secret", auth0_emulator::ALL_SCOPES);
    let asked = serde_json::json!({"grant_type": "client_credentials", "client_id": "id", "client_secret": "secret", "audience": tenant.audience()});
    let body = Some(asked.to_string().into_bytes());
    let request = auth0_emulator::Request { method: "POST".to_owned(), path: "/oauth/token".to_owned(), body, ..Default::default() };
    let auth0_emulator::Ending::Answered(answer) = tenant.arrive(request).take_effect().ending else { panic!("no answer") };
    let answer: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
    answer["access_token"].as_str().expect("a token").to_owned()
}

/// The simulation hands the operator such losses without a network: this is what they are taken from.
#[tokio::test]
async fn what_befalls_a_call_at_a_tenant_is_told_apart() {
    const MAX_BODY: usize = 200_000;
    install_crypto_provider();
    let emulator = auth0_emulator::Emulator::start(auth0_emulator::Options::default()).expect("an emulator");
    let tenant = emulator.tenant("example.auth0.com");
    let options = TransportOptions { endpoint_override: Some(emulator.url()), ..TransportOptions::default() };
    let hasty = TransportOptions { request_timeout: Duration::from_millis(200), ..options.clone() };
    let [patient, hasty] = [options, hasty].map(|options| Transport::new(&options).expect("transport"));
    let token = token(&tenant);
    let request = || {
        let url = Url::parse(&format!("{}/api/v2/connections", emulator.url())).expect("a URL");
        let mut request = Request::new(Method::GET, url);
        request.headers_mut().insert(header::HOST, HeaderValue::from_static("example.auth0.com"));
        request.headers_mut().insert(header::AUTHORIZATION, format!("Bearer {token}").parse().expect("a header"));
        request
    };
    let error = |size: usize| Fault::status_with(500, "x".repeat(size));
    let limited = auth0_emulator::RateLimited::default();
    // The fault, and the status and the length of the body, or how it is lost.
    let table = [
        (Fault::status_with(404, "gone"), Ok((404, 4))),
        (Fault::rate_limited(limited), Ok((429, 122))),
        (Fault::redirect("https://elsewhere.example.com/"), Ok((302, 0))),
        (Fault::not_json(), Ok((200, 68))),
        (error(MAX_ERROR_BODY), Ok((500, MAX_ERROR_BODY))),
        (error(MAX_ERROR_BODY + 1), Ok((500, 0))),
        (Fault::huge_body(MAX_BODY), Err(Lost::TooLarge)),
        (Fault::cut_body(), Err(Lost::Interrupted)),
        (Fault::lose_answer(), Err(Lost::Interrupted)),
        (Fault::drop(), Err(Lost::Interrupted)),
        (Fault::hang(), Err(Lost::TimedOut)),
        (Fault::hang_after(), Err(Lost::TimedOut)),
        (Fault::delay(Duration::from_secs(2)), Err(Lost::TimedOut)),
    ];
    for (fault, expected) in table {
        tenant.inject(fault.clone().times(1));
        let transport = if expected == Err(Lost::TimedOut) { &hasty } else { &patient };
        let answer = transport.client.execute(request(), MAX_BODY).await;
        let seen = answer.map(|answer| (answer.status().as_u16(), answer.body().len()));
        assert_eq!(seen, expected, "{fault:?}");
    }
    // Half of an error is none.
    tenant.inject(Fault::cut_body().times(1));
    tenant.revoke_tokens();
    let answer = patient.client.execute(request(), MAX_BODY).await.expect("an answer");
    assert_eq!((answer.status().as_u16(), answer.body().len()), (401, 0));
}

#[test]
fn options_that_cannot_be_used_are_refused_without_showing_them() {
    install_crypto_provider();
    let error = |change: fn(&mut TransportOptions)| {
        let mut options = TransportOptions::default();
        change(&mut options);
        Transport::new(&options).expect_err("refused").to_string()
    };
    assert!(error(|options| options.endpoint_override = Some("https://example.com".to_owned())).starts_with("the endpoint override"));
    assert!(
        error(|options| options.endpoint_override = Some("http://u:p4ss@example.com/x".to_owned())).ends_with("write http://host:port")
    );
    assert!(error(|options| options.proxy = Some("::p4ss".to_owned())).starts_with("the proxy is not an address"));
    assert!(error(|options| options.extra_ca = Some("/nowhere.pem".into())).contains("can't be read"));
    assert!(error(|options| options.extra_ca = Some(file!().into())).contains("holds no PEM certificate"));
    assert!(error(|options| options.user_agent = "a\nb".to_owned()).starts_with("the HTTP client can't be built"));
}

#[test]
fn a_correlation_id_is_cut_to_what_a_log_takes() {
    let header = |text: &str| correlation_id(text).map(|value| value.to_str().expect("text").to_owned());
    assert_eq!(header("a.b_c-1\r\nx: y"), Some("a.b_c-1xy".to_owned()));
    assert_eq!(header(&"a".repeat(100)), Some("a".repeat(64)));
    assert_eq!(header("é \n"), None);
}

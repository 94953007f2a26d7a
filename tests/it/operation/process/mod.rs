//! The process: what ends it, what it serves, how it reaches the API server and tenants, and what it logs of all that.

mod scripted;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{Response, StatusCode};
use futures::StreamExt;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use test_support::manifest::{edit, on, tenant};
use test_support::wait::{SOON, until};
use test_support::{OPERATOR_NAMESPACE, World, free_port, from, get_status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use upstream_params_operator::internals::{
    AllowedDomains, Error, RequestTimes, Settings, Transport, TransportOptions, WallClock, install_crypto_provider, run,
};

use scripted::{Alone, Proxy, Server, api, empty_list, is_watch, kubeconfig, nothing, ok, with_cluster};

/// The operator as a part of this process, so that its end is a value.
struct Embedded {
    ended: JoinHandle<Result<(), Error>>,
    stop: CancellationToken,
    address: SocketAddr,
}

impl Embedded {
    /// Against an API server that answers what the function says.
    fn start(address: &str, answer: impl Fn(&Request) -> Response<Body> + Clone + Send + Sync + 'static) -> Self {
        install_crypto_provider();
        let mut address: SocketAddr = address.parse().unwrap();
        address.set_port(free_port());
        let settings = Settings {
            wall: WallClock::system(),
            instance: None,
            client: Client::new(api(answer), "default"),
            requests: RequestTimes::default(),
            namespace: OPERATOR_NAMESPACE.to_owned(),
            watched: BTreeSet::new(),
            allowed: AllowedDomains::default(),
            transport: Transport::new(&TransportOptions {
                endpoint_override: Some("http://127.0.0.1:9".to_owned()),
                ..TransportOptions::default()
            })
            .unwrap(),
            http: Some(address),
        };
        let stop = CancellationToken::new();
        Self { ended: tokio::spawn(run(settings, stop.clone())), stop, address }
    }

    async fn until_ready(&self) {
        until("ready", async || get_status(("127.0.0.1", self.address.port()), "/readyz").await == Some(200)).await;
    }

    async fn ended(self) -> Result<(), Error> {
        tokio::time::timeout(SOON, self.ended).await.expect("it ends").unwrap()
    }
}

// ---- what ends it ----

#[tokio::test]
async fn a_watch_that_dies_after_the_first_list_ends_the_operator_with_an_error_and_it_is_ready_no_more() {
    let fault = Arc::new(Notify::new());
    let trigger = fault.clone();
    let operator = Embedded::start("127.0.0.1:0", move |request| {
        if request.uri().path().ends_with("/secrets") && is_watch(request) {
            let fault = fault.clone();
            let body = futures::stream::once(async move {
                fault.notified().await;
                panic!("a test: a fault in what a watch does with an event")
            });
            return ok(Body::from_stream(body.map(|()| Ok::<_, std::io::Error>(String::new()))));
        }
        nothing(request)
    });
    operator.until_ready().await;
    let port = operator.address.port();
    trigger.notify_one();
    let error = operator.ended().await.unwrap_err().to_string();
    assert!(error.starts_with("the watch of Secrets panicked unexpectedly"), "{error}");
    assert_eq!(get_status(("127.0.0.1", port), "/readyz").await, None, "nobody is told any more that it is ready");
}

#[tokio::test]
async fn a_watch_that_dies_before_the_first_list_ends_it_too() {
    let operator = Embedded::start("127.0.0.1:0", |request| {
        assert!(!request.uri().path().ends_with("/namespaces"), "a test: a fault in a watch");
        nothing(request)
    });
    let error = operator.ended().await.unwrap_err().to_string();
    assert!(error.contains("the watch of namespaces panicked"), "{error}");
}

#[tokio::test]
async fn asked_to_end_it_ends_well() {
    let operator = Embedded::start("127.0.0.1:0", nothing);
    operator.until_ready().await;
    operator.stop.cancel();
    operator.ended().await.unwrap();
}

#[tokio::test]
async fn a_tenant_that_goes_and_comes_back_again_and_again_is_served_in_the_end_and_its_objects_told_meanwhile() {
    let scope = World::shared().scope("comes-back").await;
    scope.connection("blog", "wordpress");
    scope.create("blog", on("blog").value("blog", "x")).await;
    scope.until_ready("blog").await;
    for (round, wait) in [true, false, false, true].into_iter().enumerate() {
        scope.tenants().delete(&scope.name, &DeleteParams::default()).await.unwrap();
        if wait {
            scope.until_condition("blog", "ResolvedRefs", "False", "TenantNotFound").await;
            // Who comes now is told by the same driver as everybody without a tenant.
            scope.create("later", on("blog").value("later", "x")).await;
            scope.until_condition("later", "ResolvedRefs", "False", "TenantNotFound").await;
        }
        scope.create_tenant(tenant()).await;
        scope.edit("blog", edit().value("blog", format!("round-{round}"))).await;
        scope.until_ready("blog").await;
        if wait {
            scope.until_ready("later").await;
            scope.delete("later").await;
            scope.until_gone("later").await;
        }
    }
}

// ---- what it serves ----

#[tokio::test]
async fn half_a_request_holds_up_neither_the_end_nor_a_probe() {
    let operator = Embedded::start("127.0.0.1:0", nothing);
    operator.until_ready().await;
    let mut silent = Vec::new();
    // More than it keeps open, and more than a kubelet would wait behind.
    for _ in 0..200 {
        let mut stream = TcpStream::connect(operator.address).await.unwrap();
        stream.write_all(b"GET /metrics HTT").await.unwrap();
        silent.push(stream);
    }
    assert_eq!(get_status(("127.0.0.1", operator.address.port()), "/healthz").await, Some(200));
    let mut closed = 0;
    for stream in &mut silent {
        // Of a connection that is over, the end is there to be read.
        let end = tokio::time::timeout(Duration::from_millis(10), stream.read(&mut [0; 64])).await;
        closed += usize::from(end.is_ok());
    }
    assert!(closed >= 200 - 64, "{closed} of 200 were closed to make room");
    // The rest is closed when its time is up.
    let last = silent.last_mut().unwrap();
    tokio::time::timeout(SOON, last.read(&mut [0; 64])).await.expect("a header has only so much time").ok();

    let mut half = TcpStream::connect(operator.address).await.unwrap();
    half.write_all(b"GET /metr").await.unwrap();
    operator.stop.cancel();
    operator.ended().await.unwrap();
}

#[tokio::test]
async fn it_is_reached_by_ipv4_and_by_ipv6_where_both_are_there() {
    let operator = Embedded::start("[::]:0", nothing);
    let port = operator.address.port();
    until("an answer by IPv4", async || get_status(("127.0.0.1", port), "/healthz").await == Some(200)).await;
    if std::net::TcpListener::bind("[::1]:0").is_ok() {
        assert_eq!(get_status(("::1", port), "/healthz").await, Some(200));
    }
    operator.stop.cancel();
    operator.ended().await.unwrap();
}

// ---- the API server ----

#[tokio::test]
async fn an_api_server_that_cannot_be_reached_is_said_once_with_address_and_cause_and_so_is_its_return() {
    let server = Server::start(api(nothing)).await;
    let operator = Alone::start(&kubeconfig(&server.address, None, None), &[], &[]);
    server.callers(12).await;
    let lines = operator.lines("the API server can't be reached");
    assert_eq!(lines.len(), 1, "{}", operator.log());
    assert!(lines[0].contains("WARN") && lines[0].contains(&server.address) && lines[0].contains("cause="), "{lines:?}");
    assert_eq!(operator.lines("WARN").len(), 1, "{}", operator.log());
    assert_eq!(get_status(("127.0.0.1", operator.port), "/readyz").await, Some(503));

    server.open();
    operator.until_ready().await;
    assert_eq!(operator.lines("the API server answers again").len(), 1, "{}", operator.log());
    assert!(operator.process.terminate(Duration::from_secs(30)).await.unwrap().success());
}

#[tokio::test]
async fn no_filter_lets_the_content_of_an_answer_into_the_log() {
    let page = "<html>marker-page-of-a-proxy</html>";
    let server = Server::start(api(move |request| {
        let path = request.uri().path();
        let undecodable =
            |what: &str| ok(json!({"kind": "List", "metadata": {"resourceVersion": "1"}, "items": format!("marker-{what}")}).to_string());
        match (path.rsplit('/').next().unwrap_or_default(), is_watch(request)) {
            ("secrets", _) => undecodable("content-of-a-secret"),
            ("namespaces", _) => Response::builder().status(StatusCode::BAD_GATEWAY).body(Body::from(page)).unwrap(),
            ("clusterauth0tenants", false) => empty_list(),
            ("clusterauth0tenants", true) => ok("{\"type\": \"ADDED\", \"object\": \"marker-event\"}\n"),
            _ => nothing(request),
        }
    }))
    .await;
    server.open();
    let operator =
        Alone::start(&kubeconfig(&server.address, None, None), &["--log", "trace,kube_client=trace,kube_client::client=trace"], &[]);
    for (watch, error) in [
        ("Secrets", "could not be decoded"),
        ("namespaces", "502 that is not the API server's own"),
        ("ClusterAuth0Tenants", "could not be decoded"),
    ] {
        operator.until_logged(&[watch, error]).await;
    }
    assert!(operator.process.terminate(Duration::from_secs(30)).await.unwrap().success());
    assert_eq!(operator.lines("marker"), Vec::<String>::new());
    assert!(!operator.lines("TRACE").is_empty(), "the filter was heeded otherwise");
}

#[tokio::test]
async fn an_error_at_the_start_is_a_line_of_the_log_and_fails() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let operator = Alone::start_at(Some(port), &kubeconfig("http://127.0.0.1:9", None, None), &["--log-format", "json"], &[]);
    let status = operator.process.wait().await.unwrap();
    assert_eq!(status.code(), Some(1), "{}", operator.log());
    let lines = operator.lines("choose another --http-address");
    let [line] = lines.as_slice() else { panic!("{}", operator.log()) };
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["level"], "ERROR");
}

// ---- proxies ----

#[tokio::test]
async fn a_proxy_in_the_environment_is_for_tenants_and_one_in_the_kubeconfig_for_its_cluster() {
    let world = World::setup().without_operator().start().await;
    let scope = world.scope("proxy").await;
    let server = world.control_plane.server().strip_prefix("https://").unwrap();
    let plain = std::fs::read_to_string(world.control_plane.kubeconfig()).unwrap();
    let tenant = format!("{}:443", scope.domain);
    let dead = "http://127.0.0.1:9";

    // The current cluster names one.
    let proxy = Proxy::start(server).await;
    let named = with_cluster(world.control_plane.kubeconfig(), &json!({"proxy-url": format!("http://{}", proxy.address)}));
    let operator = Alone::start(&named, &["--insecure-tenant-endpoint", &world.emulator.url()], &[("HTTPS_PROXY", dead)]);
    operator.until_ready().await;
    assert!(operator.process.terminate(Duration::from_secs(30)).await.unwrap().success());
    assert_eq!(proxy.asked().into_iter().collect::<BTreeSet<_>>(), BTreeSet::from([server.to_owned()]));

    // Another cluster names one, and so does the environment, in each of the ways that people write it.
    let ways = [("HTTPS_PROXY", "http://"), ("HTTPS_PROXY", ""), ("https_proxy", "http://"), ("https_proxy", "")];
    for (variable, scheme) in ways {
        let proxy = Proxy::start("nobody:443").await;
        let mut config: serde_json::Value = serde_saphyr::from_str(&plain).unwrap();
        config["clusters"]
            .as_array_mut()
            .unwrap()
            .push(json!({"name": "other", "cluster": {"server": "https://other.example", "proxy-url": dead}}));
        let operator = Alone::start(&config.to_string(), &[], &[(variable, &format!("{scheme}{}", proxy.address))]);
        operator.until_ready().await;
        until("the tenant is asked for through the proxy", async || !proxy.asked().is_empty()).await;
        assert!(operator.process.terminate(Duration::from_secs(30)).await.unwrap().success());
        assert_eq!(proxy.asked().into_iter().collect::<BTreeSet<_>>(), BTreeSet::from([tenant.clone()]), "{variable}");
    }

    // Nobody is asked for what `no_proxy` names; the name is not looked up by anybody either, as there is no such host.
    let proxy = Proxy::start("nobody:443").await;
    let variables = [("https_proxy", proxy.address.as_str()), ("no_proxy", ".auth0.com")];
    let operator = Alone::start(&plain, &[], &variables);
    operator.until_ready().await;
    operator.until_logged(&["Auth0 issued no token"]).await;
    assert!(operator.process.terminate(Duration::from_secs(30)).await.unwrap().success());
    assert_eq!(proxy.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn a_proxy_that_cannot_be_used_is_refused_with_what_to_write_and_its_password_is_not_shown() {
    let fine = kubeconfig("http://127.0.0.1:9", None, None);
    let named = |proxy: &str| kubeconfig("http://127.0.0.1:9", Some(proxy), None);
    let upper = |proxy: &'static str| vec![("HTTPS_PROXY", proxy)];
    let cases = [
        (
            named("socks4://me:marker-password@proxy.example:1080"),
            vec![],
            "proxy-url of the cluster current in the kubeconfig is not a proxy address; write http://host:port",
        ),
        (named("proxy.example:3128"), vec![], "write http://host:port"),
        (
            fine.clone(),
            upper("socks5://me:marker-password@proxy.example:1080"),
            "--proxy (or HTTPS_PROXY): only HTTP proxies can be used; write http://host:port",
        ),
        (fine.clone(), vec![("https_proxy", "ftp://me:marker-password@proxy.example")], "write http://host:port"),
        (fine.clone(), upper("http://me:marker-password@"), "the proxy is not an address; write http://host:port"),
        (
            fine.clone(),
            vec![("HTTPS_PROXY", "http://me:marker-password@proxy.example:3128"), ("NO_PROXY", "a.example,,b.example")],
            "NO_PROXY: write hosts, addresses and networks, separated by single commas",
        ),
    ];
    for (kubeconfig, variables, expected) in cases {
        let operator = Alone::start(&kubeconfig, &[], &variables);
        let status = tokio::time::timeout(SOON, operator.process.wait()).await.unwrap().unwrap();
        assert_eq!(status.code(), Some(1), "{}", operator.log());
        let log = operator.log();
        assert!(log.contains(expected) && !log.contains("marker"), "{log}");
        assert_eq!(log.lines().count(), 1, "{log}");
    }
}

// ---- memory ----

#[tokio::test]
async fn large_secrets_and_large_annotations_do_not_add_up_in_memory() {
    const LIMIT_OF_THE_CHART: u64 = 128 * 1024;
    let world = World::setup().without_operator().start().await;
    let secrets = Api::<Secret>::namespaced(world.client().await, OPERATOR_NAMESPACE);
    for n in 0..100 {
        let mut secret: Secret = from(json!({"metadata": {"name": format!("keystore-{n}")}}));
        secret.data = Some([("store".to_owned(), ByteString(vec![b'x'; 900_000]))].into());
        secrets.create(&PostParams::default(), &secret).await.unwrap();
    }
    let scope = world.scope("large").await;
    for n in 0..100 {
        scope.connection(&format!("large-{n}"), "oidc");
        let mut object = scope.create(&format!("large-{n}"), on(&format!("large-{n}")).value("audience", "x")).await;
        object.metadata.annotations = Some([("note".to_owned(), "x".repeat(250_000))].into());
        scope.api().replace(&format!("large-{n}"), &PostParams::default(), &object).await.unwrap();
    }
    world.start_operator_until_ready().await;
    let most: u64 = world.operator_memory("VmHWM").strip_suffix(" kB").unwrap().parse().unwrap();
    assert!(most < LIMIT_OF_THE_CHART * 3 / 4, "{most} KiB at most");
    world.stop_operator().await;
}

//! The emulator over TLS, through a client that trusts its authority and nothing else.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::*;

/// Sends one request to a host over TLS, trusting this authority.
fn send_secretly(secure: &Secure, name: &str, authority: &str, head: &str) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(rustls::pki_types::CertificateDer::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let connection = ClientConnection::new(Arc::new(config), ServerName::try_from(name.to_owned()).unwrap()).unwrap();
    let port: u16 = secure.host.rsplit_once(':').unwrap().1.parse().unwrap();
    let mut stream = StreamOwned::new(connection, TcpStream::connect(("127.0.0.1", port))?);
    stream.sock.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(format!("{head}\r\nconnection: close\r\n\r\n").as_bytes())?;
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Err(error) if bytes.is_empty() => Err(error),
        _ => Ok(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

#[test]
fn a_tenant_is_served_over_tls_under_any_name_and_is_the_same_tenant() {
    let lab = Lab::with_one();
    let secure = lab.emulator.secure(0, &lab.tenant).unwrap();
    let head = |host: &str| format!("GET {} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {}", lab.path("c"), lab.token);
    let host = secure.host.clone();
    for (name, host) in [("localhost", host.as_str()), ("127.0.0.1", "127.0.0.1"), (DOMAIN, DOMAIN)] {
        let answer = send_secretly(&secure, name, &secure.authority, &head(host)).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{name}: {answer}");
        assert!(answer.ends_with(&lab.get(&lab.path("c")).text), "{answer}");
    }
}

#[test]
fn a_name_that_it_does_not_have_and_an_authority_of_another_are_refused_by_whoever_asks() {
    let lab = Lab::with_one();
    let (secure, other) = (lab.emulator.secure(0, &lab.tenant).unwrap(), lab.emulator.secure(0, &lab.tenant).unwrap());
    let head = "GET / HTTP/1.1\r\nhost: localhost";
    assert!(send_secretly(&secure, "localhost", &secure.authority, head).is_ok());
    assert!(send_secretly(&secure, "example.com", &secure.authority, head).unwrap_err().to_string().contains("certificate"));
    assert!(send_secretly(&secure, "localhost", &other.authority, head).unwrap_err().to_string().contains("certificate"));
}

#[test]
fn whoever_never_greets_holds_up_nobody_and_faults_cut_what_is_encrypted_too() {
    let lab = Lab::with_one();
    let secure = lab.emulator.secure(0, &lab.tenant).unwrap();
    let port: u16 = secure.host.rsplit_once(':').unwrap().1.parse().unwrap();
    let _silent = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut plain = TcpStream::connect(("127.0.0.1", port)).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let head = format!("GET {} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}", lab.path("c"), lab.token);
    assert!(send_secretly(&secure, "localhost", &secure.authority, &head).unwrap().starts_with("HTTP/1.1 200"));
    lab.tenant.inject(Fault::lose_answer().times(1));
    assert!(send_secretly(&secure, "localhost", &secure.authority, &head).is_err());
    lab.tenant.inject(Fault::cut_body().times(1));
    let half = send_secretly(&secure, "localhost", &secure.authority, &head).unwrap();
    let (_, body) = half.split_once("\r\n\r\n").unwrap();
    let whole = lab.get(&lab.path("c")).text;
    assert_eq!(body, &whole[..whole.len() / 2]);
}

//! The keys, tokens and kubeconfigs of a control plane.

use base64::{Engine, prelude::BASE64_STANDARD};
use ring::{
    rand::{SecureRandom, SystemRandom},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};

use super::{Error, hex};

/// Somebody the API server knows by a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Who it is to RBAC.
    pub name: String,
    /// The groups it is in, such as `system:masters`, which may do everything.
    pub groups: Vec<String>,
    /// What it shows.
    pub token: String,
}

impl User {
    /// Its line in a token file, which is a CSV file: token, name, uid, groups.
    fn line(&self) -> String {
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        format!("{},{},{},{}\n", quoted(&self.token), quoted(&self.name), quoted(&self.name), quoted(&self.groups.join(",")))
    }
}

pub(super) fn token_file(users: &[User]) -> String {
    users.iter().map(User::line).collect()
}

pub(super) fn random_token() -> Result<String, Error> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Error::Random)?;
    Ok(hex(&bytes))
}

/// The key that signs the tokens of service accounts, as PEM.
pub(super) struct SigningKey {
    pub(super) private: String,
    pub(super) public: String,
}

impl SigningKey {
    pub(super) fn generate() -> Result<Self, Error> {
        // What precedes the point in a SubjectPublicKeyInfo: id-ecPublicKey, prime256v1, a bit string of 66 bytes.
        const P256: [u8; 26] = [
            0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03,
            0x01, 0x07, 0x03, 0x42, 0x00,
        ];
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).map_err(|_| Error::Random)?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).map_err(|_| Error::Random)?;
        let public = [&P256, pair.public_key().as_ref()].concat();
        Ok(Self { private: pem("PRIVATE KEY", pkcs8.as_ref()), public: pem("PUBLIC KEY", &public) })
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem + &format!("-----END {label}-----\n")
}

/// A kubeconfig that stands alone: it names no other file.
pub(super) fn kubeconfig(server: &str, ca: &[u8], token: &str) -> String {
    let ca = BASE64_STANDARD.encode(ca);
    // Quoted as JSON, which YAML contains.
    let token = serde_json::Value::from(token);
    format!(
        "apiVersion: v1
kind: Config
clusters:
- name: control-plane
  cluster:
    server: {server}
    certificate-authority-data: {ca}
users:
- name: control-plane
  user:
    token: {token}
contexts:
- name: control-plane
  context:
    cluster: control-plane
    user: control-plane
    namespace: default
current-context: control-plane
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_file_quotes_what_csv_would_split() {
        let users = [
            User { name: "admin".into(), groups: vec!["a".into(), "b".into()], token: "t".into() },
            User { name: "o\"dd, one".into(), groups: vec![], token: "u".into() },
        ];
        assert_eq!(token_file(&users), "\"t\",\"admin\",\"admin\",\"a,b\"\n\"u\",\"o\"\"dd, one\",\"o\"\"dd, one\",\"\"\n");
    }

    #[test]
    fn a_pem_has_lines_of_64() {
        let text = pem("THING", &[0; 50]);
        let lines: Vec<_> = text.lines().map(str::len).collect();
        assert_eq!(lines, ["-----BEGIN THING-----".len(), 64, 4, "-----END THING-----".len()]);
    }
}

//! The primitives as this crate calls them, against the vectors of the PyPI package `cryptography-vectors` and of the RFCs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::aead;
use crate::ed25519::{SigningKey, VerifyingKey};
use crate::error::Error;
use crate::hmac::{Hmac, hkdf};
use crate::kdf::MessageKeys;
use crate::x25519::KeyPair;

type Vector = BTreeMap<String, String>;

/// Where the package lies: `MOBIUM_CRYPTOGRAPHY_VECTORS`, or the checkout's virtual environment.
fn folder() -> PathBuf {
    if let Ok(path) = std::env::var("MOBIUM_CRYPTOGRAPHY_VECTORS") {
        return path.into();
    }
    let lib = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/lib");
    let pythons = std::fs::read_dir(lib).into_iter().flatten().flatten();
    pythons
        .map(|python| python.path().join("site-packages/cryptography_vectors"))
        .find(|path| path.is_dir())
        .expect(
            "pip install cryptography-vectors into .venv, or name its folder in MOBIUM_CRYPTOGRAPHY_VECTORS",
        )
}

/// The `name = value` lines of a file; a vector ends where a name comes again. Lines in brackets hold for all that follow.
fn vectors(path: &str) -> Vec<Vector> {
    let text = std::fs::read_to_string(folder().join(path)).unwrap();
    let (mut found, mut common, mut current) = (Vec::new(), Vector::new(), Vector::new());
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        let setting = line.strip_prefix('[').and_then(|line| line.strip_suffix(']'));
        let Some((name, value)) = setting.unwrap_or(line).split_once('=') else {
            if line == "FAIL" {
                current.insert(line.to_owned(), String::new());
            }
            continue;
        };
        let (name, value) = (name.trim().to_lowercase(), value.trim().to_lowercase());
        if setting.is_some() || current.contains_key(&name) {
            found.push(std::mem::take(&mut current));
        }
        if setting.is_some() {
            common.insert(name, value);
        } else {
            if current.is_empty() {
                current.clone_from(&common);
            }
            current.insert(name, value);
        }
    }
    found.push(current);
    found.retain(|vector| !vector.is_empty());
    found
}

fn hex(vector: &Vector, name: &str) -> Vec<u8> {
    unhex(&vector[name])
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn hmac_sha256() {
    let vectors = vectors("HMAC/rfc-4231-sha256.txt");
    for vector in &vectors {
        // Our keys have 32 bytes. RFC 2104 fills shorter ones with zeros and hashes those above a block.
        let mut key = hex(vector, "key");
        if key.len() > 64 {
            key = Sha256::digest(&key).to_vec();
        }
        key.resize(32, 0);
        let mut out = [0; 32];
        Hmac::new(key[..].try_into().unwrap()).mac(&hex(vector, "msg"), &mut out);
        assert_eq!(out[..], hex(vector, "md"));
    }
    assert!(vectors.len() >= 6, "{}", vectors.len());
}

#[test]
fn hkdf_sha256() {
    let vectors = vectors("KDF/rfc-5869-HKDF-SHA256.txt");
    for vector in &vectors {
        let (mut short, mut long) = ([0; 42], [0; 82]);
        let (ikm, salt, info) = (hex(vector, "ikm"), hex(vector, "salt"), hex(vector, "info"));
        let expected = hex(vector, "okm");
        if expected.len() == short.len() {
            hkdf(&ikm, &salt, &info, &mut short);
            assert_eq!(short[..], expected);
        } else {
            hkdf(&ikm, &salt, &info, &mut long);
            assert_eq!(long[..], expected);
        }
    }
    assert_eq!(vectors.len(), 3);
}

fn keys(vector: &Vector) -> MessageKeys {
    let mut keys = [0; 44];
    keys[..32].copy_from_slice(&hex(vector, "key"));
    keys[32..].copy_from_slice(&hex(vector, "iv"));
    MessageKeys(keys)
}

/// Those with the nonce and the tag that we use.
fn ours(path: &str) -> Vec<Vector> {
    let mut vectors = vectors(path);
    vectors.retain(|vector| vector["ivlen"] == "96" && vector["taglen"] == "128");
    vectors
}

#[test]
fn aes_256_gcm_seals() {
    let vectors = ours("ciphers/AES/GCM/gcmEncryptExtIV256.rsp");
    for vector in &vectors {
        let mut text = hex(vector, "pt");
        text.resize(text.len() + 16, 0xFF);
        assert!(aead::seal(&keys(vector), &hex(vector, "aad"), &mut text).is_ok());
        assert_eq!(text, [hex(vector, "ct"), hex(vector, "tag")].concat());
    }
    assert!(vectors.len() > 300, "{}", vectors.len());
}

#[test]
fn aes_256_gcm_opens_and_refuses() {
    let vectors = ours("ciphers/AES/GCM/gcmDecrypt256.rsp");
    let mut refused = 0;
    for vector in &vectors {
        let sealed = [hex(vector, "ct"), hex(vector, "tag")].concat();
        if let Ok(opened) = aead::open(&keys(vector), &hex(vector, "aad"), &sealed) {
            assert_eq!(opened.0, hex(vector, "pt"));
        } else {
            assert!(vector.contains_key("FAIL"));
            refused += 1;
        }
    }
    assert!(vectors.len() > 300 && refused > 100, "{} {refused}", vectors.len());
    assert!(aead::open(&MessageKeys([0; 44]), b"", &[0; 15]).is_err());
}

const REFUSAL: Error = Error::Invalid("small order");

fn exchange(scalar: &[u8], point: &[u8]) -> Result<[u8; 32], Error> {
    let pair = KeyPair::from_private(scalar.try_into().unwrap())?;
    let shared = pair.agree(point.try_into().unwrap(), REFUSAL).map(|shared| *shared);
    // A pair that was loaded from its stored form agrees on the same.
    let stored = KeyPair::from_stored(pair.private().bytes(), *pair.public());
    assert_eq!(stored.agree(point.try_into().unwrap(), REFUSAL).map(|shared| *shared), shared);
    shared
}

#[test]
fn x25519() {
    let vectors = vectors("asymmetric/X25519/rfc7748.txt");
    for vector in &vectors {
        let shared = exchange(&hex(vector, "input_scalar"), &hex(vector, "input_u")).unwrap();
        assert_eq!(shared[..], hex(vector, "output_u"));
    }
    assert!(vectors.len() >= 3, "{}", vectors.len());
}

/// RFC 7748, section 5.2: the function applied to its own results, and section 6.1: the base point.
#[test]
fn x25519_again_and_again() {
    let mut base = [0; 32];
    base[0] = 9;
    let (mut scalar, mut point) = (base, base);
    for _ in 0..1000 {
        (scalar, point) = (exchange(&scalar, &point).unwrap(), scalar);
    }
    let expected = "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51";
    assert_eq!(scalar[..], unhex(expected));
    let pair = KeyPair::from_private(&scalar).unwrap();
    assert_eq!(pair.public()[..], exchange(&scalar, &base).unwrap());
}

#[test]
fn x25519_refuses_points_of_small_order() {
    let order_eight = unhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800");
    let mut one = [0; 32];
    one[0] = 1;
    for point in [&[0; 32], &one, &order_eight[..]] {
        assert_eq!(exchange(&[7; 32], point), Err(REFUSAL));
    }
}

/// The 1,024 vectors of the authors of Ed25519: `seed and public : public : message : signature and message :`.
#[test]
fn ed25519() {
    let text = std::fs::read_to_string(folder().join("asymmetric/Ed25519/sign.input")).unwrap();
    for line in text.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let key = SigningKey::from_seed(unhex(&fields[0][..64]).as_slice().try_into().unwrap()).unwrap();
        let (public, message) = (unhex(fields[1]), unhex(fields[2]));
        assert_eq!(key.public()[..], public);
        let mut signature = [0; 64];
        assert!(key.sign(&message, &mut signature).is_ok());
        assert_eq!(signature[..], unhex(&fields[3][..128]));
        let verifying = VerifyingKey::new(key.public()).unwrap();
        assert_eq!(verifying.verify(&message, &signature), Ok(()));
        signature[40] ^= 1;
        assert!(verifying.verify(&message, &signature).is_err());
        assert!(key.sign(&message, &mut [0; 63]).is_err());
    }
    assert_eq!(text.lines().count(), 1024);
}

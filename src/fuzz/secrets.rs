//! What is encrypted.

use arbitrary::{Result, Unstructured};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::messages as make;
use super::meter::{PER_DATAGRAM, at_most};
use crate::connect::noise::{Initiator, Responder};
use crate::connect::secure_payload::SecurePayload;
use crate::keys::KeyPair;
use crate::secret_stream::{Datagrams, Input, Keys, MAX_MESSAGE, Pull, PullError, Push};
use crate::wire::Encode;

/// Frames in any pieces, some of them damaged: what comes out is the beginning of what went in, then an error
/// that stays.
pub(super) fn frames(data: &[u8]) {
    let _ = pull(&mut Unstructured::new(data));
}

fn pull(u: &mut Unstructured<'_>) -> Result<()> {
    let (near, far) = ends();
    let mut push = Push::new(&near, &mut StdRng::from_seed(u.arbitrary()?));
    let limit = *u.choose(&[0, 40, 1024, MAX_MESSAGE])?;
    let mut stream = push.header().to_vec();
    let messages = make::list(u, 8, make::blob)?;
    let mut borders = vec![stream.len()];
    for message in &messages {
        push.seal(message, &mut stream).expect("a short message");
        borders.push(stream.len());
    }
    // The first byte that is not as it was sent.
    let mut damaged_at = stream.len();
    if u.arbitrary()? {
        damaged_at = u.int_in_range(0..=stream.len())?;
        let replaced = u.int_in_range(0..=40usize)?.min(stream.len() - damaged_at);
        let other = make::blob(u)?;
        let changed = [&stream[..damaged_at], &other, &stream[damaged_at + replaced..]].concat();
        damaged_at = changed.iter().zip(&stream).take_while(|(one, other)| one == other).count();
        stream = changed;
    }
    let whole = borders.iter().skip(1).take_while(|border| **border <= damaged_at).count();
    // Bytes behind the last message, as if more were to come.
    let (mut pull, mut input) = (Pull::new(&far, limit), Input::default());
    let mut received = 0;
    let mut rest = stream.as_slice();
    while !rest.is_empty() {
        let piece = u.int_in_range(1..=1500usize)?.min(rest.len());
        input.push(rest[..piece].to_vec());
        rest = &rest[piece..];
        loop {
            match at_most(PER_DATAGRAM, || pull.pull(&mut input)) {
                Ok(Some(message)) => {
                    assert!(received < whole, "a damaged message was taken");
                    assert_eq!(message, messages[received]);
                    received += 1;
                }
                Ok(None) => break,
                Err(error) => {
                    let too_long = matches!(error, PullError::TooLong { length, .. } if length > limit);
                    assert!(too_long || received == whole, "{error} after {received} of {whole}");
                    assert_eq!(pull.pull(&mut input), Err(error), "an error stays");
                    return Ok(());
                }
            }
        }
    }
    let fit = messages.iter().take(whole).take_while(|message| message.len() <= limit).count();
    assert_eq!(received, fit, "of {whole}");
    Ok(())
}

/// Holepunch messages and datagrams: those that were sealed open, those that were damaged do not.
pub(super) fn boxes(data: &[u8]) {
    let _ = open(&mut Unstructured::new(data));
}

fn open(u: &mut Unstructured<'_>) -> Result<()> {
    let secure = SecurePayload::new(&[1; 32], [2; 32]);
    let payload = make::holepunch_payload(u)?;
    let sealed = secure.seal(&payload, &u.arbitrary()?);
    assert_eq!(secure.open(&sealed), Some(payload));
    let (near, far) = ends();
    let message = make::blob(u)?;
    let mut datagram = Vec::new();
    Datagrams::with_counter(&near, u.arbitrary()?)
        .seal(&message, &mut datagram)
        .map_err(|_| arbitrary::Error::IncorrectFormat)?;
    let opener = Datagrams::with_counter(&far, 0);
    assert_eq!(opener.open(&datagram), Some(message));
    for (sealed, is_opened) in [
        (&sealed, &(|bytes: &[u8]| secure.open(bytes).is_some()) as &dyn Fn(&[u8]) -> bool),
        (&datagram, &|bytes: &[u8]| opener.open(bytes).is_some()),
    ] {
        let damaged = damage(u, sealed)?;
        assert!(damaged == *sealed || !at_most(PER_DATAGRAM, || is_opened(&damaged)));
    }
    let bytes = make::blob(u)?;
    assert!(at_most(PER_DATAGRAM, || secure.open(&bytes).is_none() && opener.open(&bytes).is_none()));
    Ok(())
}

/// Both messages of a handshake, whole and damaged.
pub(super) fn handshakes(data: &[u8]) {
    let _ = shake(&mut Unstructured::new(data));
}

fn shake(u: &mut Unstructured<'_>) -> Result<()> {
    let (client, server) = (make::key_pair(u)?, make::key_pair(u)?);
    let (first, second) = (make::noise_payload(u)?, make::noise_payload(u)?);
    let bytes = make::blob(u)?;
    assert!(at_most(PER_DATAGRAM, || Responder::read(&server, &bytes).is_err()));
    let started = Initiator::start(&client, server.public_key(), u.arbitrary()?, &first);
    let (mut initiator, message1) = started.expect("a usable key and a short payload");
    assert!(at_most(PER_DATAGRAM, || initiator.finish(&bytes).is_err()));
    let damaged = damage(u, &message1)?;
    assert!(damaged == message1 || at_most(PER_DATAGRAM, || Responder::read(&server, &damaged).is_err()));
    let (responder, read) = Responder::read(&server, &message1).expect("an honest message");
    assert_eq!(read, first);
    let (message2, theirs) = responder.write(u.arbitrary()?, &second).expect("a short payload");
    let damaged = damage(u, &message2)?;
    assert!(damaged == message2 || at_most(PER_DATAGRAM, || initiator.finish(&damaged).is_err()));
    // A forged answer has spoiled nothing.
    let (read, ours) = initiator.finish(&message2).expect("an honest message");
    assert_eq!(read.to_bytes(), second.to_bytes());
    assert_eq!(ours.keys.handshake_hash(), theirs.keys.handshake_hash());
    assert_eq!(theirs.remote_public_key, *client.public_key());
    Ok(())
}

/// Cuts bytes, appends some, or replaces some.
pub(super) fn damage(u: &mut Unstructured<'_>, bytes: &[u8]) -> Result<Vec<u8>> {
    let at = u.int_in_range(0..=bytes.len())?;
    Ok(match u.int_in_range(0..=2u8)? {
        0 => bytes[..at].to_vec(),
        1 => [bytes, &[u.arbitrary()?]].concat(),
        _ => {
            let mut damaged = bytes.to_vec();
            if let Some(byte) = damaged.get_mut(at) {
                *byte ^= u.int_in_range(1..=255u8)?;
            }
            damaged
        }
    })
}

/// Returns the keys of both ends of one stream.
fn ends() -> (Keys, Keys) {
    let hash = [3; 64];
    (Keys::new(&[1; 32], &[2; 32], &hash, true), Keys::new(&[2; 32], &[1; 32], &hash, false))
}

/// Returns a pair that no target makes.
pub(super) fn stranger() -> KeyPair {
    KeyPair::from_seed(&[200; 32])
}

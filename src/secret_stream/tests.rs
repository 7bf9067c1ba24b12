//! Hostile and unusual input, and properties over any input.

use bytes::BytesMut;
use crypto_secretstream::{Header, Key, PullStream, PushStream, Tag};
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::cipher::{Cipher, TAG_MESSAGE};
use super::*;

#[test]
fn refuses_a_header_by_its_first_byte() {
    let mut pull = Pull::new(&keys().0, MAX_MESSAGE);
    assert_eq!(pull.pull(&mut input(&[0x39])), Err(PullError::HeaderLength));
}

#[test]
fn refuses_a_stream_id_by_its_first_wrong_byte() {
    let (keys, _) = keys();
    let mut wire = keys.remote_prefix()[..20].to_vec();
    wire[19] ^= 1;
    let mut pull = Pull::new(&keys, MAX_MESSAGE);
    assert_eq!(pull.pull(&mut input(&wire[..19])), Ok(None));
    assert_eq!(pull.pull(&mut input(&wire)), Err(PullError::StreamId));
}

#[test]
fn refuses_a_length_above_the_limit_before_the_bytes_arrive() {
    let (mut push, mut pull, mut wire) = stream(100);
    push.seal(&[1; 100], &mut wire).unwrap();
    push.seal(&[1; 101], &mut wire).unwrap();
    let mut input = input(&wire[..HEADER_FRAME_LEN + 120 + 3]);
    assert_eq!(pull.pull(&mut input).unwrap().unwrap(), [1; 100][..]);
    assert_eq!(pull.pull(&mut input), Err(PullError::TooLong { length: 101, limit: 100 }));
}

#[test]
fn an_announced_length_takes_no_memory() {
    let (_, mut pull, mut wire) = stream(MAX_MESSAGE);
    wire.extend([0xff; 3]);
    wire.extend([0; 100]);
    let mut input = input(&wire);
    assert_eq!(pull.pull_into(&mut input, &mut []), Ok(Pulled::Incomplete));
    assert_eq!(pull.missing(&input), 0xff_ffff - 100);
    assert_eq!(input.len(), 3 + 100);
}

#[test]
fn bytes_behind_very_many_frames_are_not_judged() {
    for (count, verdict) in [(1000, Verdict::Authentic), (1024, Verdict::Unknown)] {
        let (mut push, pull, mut wire) = stream(MAX_MESSAGE);
        (0..count).for_each(|_| push.seal(&[], &mut wire).unwrap());
        let known = wire.len();
        push.seal(b"last", &mut wire).unwrap();
        let (known, last) = wire.split_at(known);
        assert_eq!(pull.judge(&input(known), std::iter::empty(), std::iter::once(last)), verdict);
    }
}

#[test]
fn a_failed_stream_stays_failed() {
    let (mut push, mut pull, mut wire) = stream(MAX_MESSAGE);
    let mut frame = Vec::new();
    push.seal(b"message", &mut frame).unwrap();
    wire.extend_from_slice(&frame);
    *wire.last_mut().unwrap() ^= 1;
    assert_eq!(pull.pull(&mut input(&wire)), Err(PullError::Forged));
    assert_eq!(pull.pull(&mut input(&frame)), Err(PullError::Forged));
    assert_eq!(pull.missing(&Input::default()), 0);
}

#[test]
fn a_keep_alive_is_an_empty_message_of_twenty_bytes() {
    let (mut push, mut pull, mut wire) = stream(0);
    push.seal(b"", &mut wire).unwrap();
    assert_eq!(wire.len(), HEADER_FRAME_LEN + 20);
    assert_eq!(wire[HEADER_FRAME_LEN..][..3], [0x11, 0, 0]);
    assert_eq!(pull.pull(&mut input(&wire)), Ok(Some(BytesMut::new())));
}

#[test]
fn missing_leads_from_frame_to_frame() {
    let (mut push, mut pull, mut wire) = stream(MAX_MESSAGE);
    push.seal(b"hello", &mut wire).unwrap();
    let mut input = Input::default();
    let mut reads = Vec::new();
    let mut messages = 0;
    while !wire.is_empty() {
        let missing = pull.missing(&input);
        reads.push(missing);
        input.push(wire.drain(..missing).collect());
        messages += usize::from(pull.pull(&mut input).unwrap().is_some());
    }
    assert_eq!(reads, [59, 3, 22]);
    assert_eq!(messages, 1);
}

#[test]
fn a_message_is_decrypted_where_there_is_room_for_it_and_stays_where_there_is_not() {
    let (mut push, mut pull, mut wire) = stream(MAX_MESSAGE);
    push.seal(&[3; 1000], &mut wire).unwrap();
    push.seal(&[4; 10], &mut wire).unwrap();
    let mut input = input(&wire);
    let mut out = [0; 1500];
    for room in [0, 999] {
        let pulled = pull.pull_into(&mut input, &mut out[..room]);
        assert_eq!(pulled, Ok(Pulled::NeedsRoom(1000)));
    }
    assert_eq!(out, [0; 1500]);
    assert_eq!(pull.pull_into(&mut input, &mut out), Ok(Pulled::Message(1000)));
    assert_eq!(pull.pull_into(&mut input, &mut out[1000..]), Ok(Pulled::Message(10)));
    assert_eq!(out[..1000], [3; 1000]);
    assert_eq!(out[1000..1010], [4; 10]);
    assert_eq!(out[1010..], [0; 490]);
}

#[test]
fn nothing_of_a_forged_message_is_decrypted() {
    let (mut push, mut pull, mut wire) = stream(MAX_MESSAGE);
    push.seal(&[3; 1000], &mut wire).unwrap();
    *wire.last_mut().unwrap() ^= 1;
    let mut out = [0; 1000];
    let result = pull.pull_into(&mut input(&wire), &mut out);
    assert_eq!((result, out), (Err(PullError::Forged), [0; 1000]));
}

#[test]
fn pieces_whose_bytes_are_gone_are_handed_out_and_few_kept() {
    let (mut push, mut pull, wire) = stream(MAX_MESSAGE);
    let mut input = input(&wire);
    assert_eq!(pull.pull(&mut input), Ok(None));
    assert_eq!(input.spent().count(), 1);
    for _ in 0..100 {
        let mut frame = Vec::new();
        push.seal(&[3; 1000], &mut frame).unwrap();
        input.push(frame);
        assert_eq!(pull.pull(&mut input).unwrap().unwrap().len(), 1000);
    }
    assert_eq!(input.spent().count(), 8);
}

#[test]
fn unknown_tags_pass_and_change_keys_by_their_bit() {
    for tag in [4, 6, 0x80, 0xff] {
        let (mut push, mut pull, mut wire) = stream(MAX_MESSAGE);
        push.seal_with_tag(tag, b"odd", &mut wire).unwrap();
        push.seal(b"then", &mut wire).unwrap();
        let mut input = input(&wire);
        assert_eq!(pull.pull(&mut input).unwrap().unwrap(), &b"odd"[..]);
        assert_eq!(pull.pull(&mut input).unwrap().unwrap(), &b"then"[..]);
    }
}

#[test]
fn datagrams_open_in_any_order_and_ignore_what_is_not_theirs() {
    let (initiator, responder) = keys();
    let mut rng = StdRng::from_seed([5; 32]);
    let mut sender = Datagrams::new(&initiator, &mut rng);
    let receiver = Datagrams::new(&responder, &mut rng);
    let mut first = Vec::new();
    let mut second = Vec::new();
    sender.seal(b"first", &mut first).unwrap();
    sender.seal(b"", &mut second).unwrap();
    assert_eq!(second.len(), DATAGRAM_OVERHEAD);
    assert_eq!(receiver.open(&second), Some(vec![]));
    assert_eq!(receiver.open(&first), Some(b"first".to_vec()));
    assert_eq!(sender.open(&first), None);
    for length in 0..first.len() {
        assert_eq!(receiver.open(&first[..length]), None);
        let mut damaged = first.clone();
        damaged[length] ^= 1;
        assert_eq!(receiver.open(&damaged), None);
    }
}

#[test]
fn datagrams_end_before_a_counter_repeats() {
    let mut sender = Datagrams::with_counter(&keys().0, 7);
    sender.skip_to(5);
    let mut out = Vec::new();
    assert_eq!(sender.seal(b"the last", &mut out), Ok(()));
    assert_eq!(out[..8], [6, 0, 0, 0, 0, 0, 0, 0]);
    let length = out.len();
    assert_eq!(sender.seal(b"none", &mut out), Err(DatagramsExhausted));
    assert_eq!(sender.seal(b"none", &mut out), Err(DatagramsExhausted));
    assert_eq!(out.len(), length);
}

#[test]
fn clones_share_one_copy_of_the_secrets() {
    let keys = Keys::new(&[1; 32], &[2; 32], &[3; 64], true);
    assert!(std::ptr::eq(keys.tx(), keys.clone().tx()));
}

#[test]
fn debug_shows_no_secret() {
    let keys = Keys::new(&[0x51; 32], &[0x52; 32], &[0x53; 64], true);
    let shown = format!(
        "{keys:?} {:?} {:?} {:?}",
        Push::with_header(&keys, [0; 24]),
        Pull::new(&keys, 1),
        Datagrams::with_counter(&keys, 0)
    );
    for secret in ["5151", "5252", "5353", "81, 81", "82, 82", "83, 83"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn the_verbs_are_free_to_move_between_threads() {
    fn movable<T: Send + Sync + 'static>() {}
    movable::<Keys>();
    movable::<Push>();
    movable::<Pull>();
    movable::<Datagrams>();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_fragmentation_equals_the_whole(
        messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..700), 0..6),
        cuts in prop::collection::vec(1_usize..400, 1..40),
    ) {
        let (mut push, mut pull, mut wire) = stream(MAX_MESSAGE);
        for message in &messages {
            push.seal(message, &mut wire).unwrap();
        }
        let mut input = Input::default();
        let mut delivered = Vec::new();
        let mut rest = wire.as_slice();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, later) = rest.split_at((*cut).min(rest.len()));
            input.push(piece.to_vec());
            rest = later;
            while let Some(message) = pull.pull(&mut input).unwrap() {
                delivered.push(message.to_vec());
            }
        }
        prop_assert_eq!(delivered, messages);
        prop_assert!(input.is_empty());
    }

    #[test]
    fn a_changed_byte_never_changes_a_message(
        message in prop::collection::vec(any::<u8>(), 0..600),
        at in any::<prop::sample::Index>(),
        change in 1_u8..,
    ) {
        let (mut push, mut pull, mut wire) = stream(MAX_MESSAGE);
        push.seal(&message, &mut wire).unwrap();
        let at = at.index(wire.len());
        wire[at] ^= change;
        let result = pull.pull(&mut input(&wire));
        // A longer length waits for bytes that never come; all else is an error.
        prop_assert!(!matches!(result, Ok(Some(_))));
    }

    #[test]
    fn garbage_behind_the_header_never_passes(garbage in prop::collection::vec(any::<u8>(), 0..300)) {
        let (_, mut pull, mut wire) = stream(MAX_MESSAGE);
        wire.extend(&garbage);
        let mut input = input(&wire);
        prop_assert!(!matches!(pull.pull(&mut input), Ok(Some(_))));
        let mut pull = Pull::new(&keys().0, MAX_MESSAGE);
        prop_assert!(!matches!(pull.pull(&mut self::input(&garbage)), Ok(Some(_))));
    }

    #[test]
    fn bytes_are_judged_by_the_first_frame_that_ends_in_them_and_nothing_is_taken(
        lengths in prop::collection::vec(0_usize..300, 1..6),
        opened in 0_usize..6,
        known in 0_usize..2000,
        flipped in 0_usize..2000,
        cut in 1_usize..80,
    ) {
        let (mut push, mut pull, mut wire) = stream(MAX_MESSAGE);
        let mut ends = Vec::new();
        for length in lengths {
            push.seal(&vec![1; length], &mut wire).unwrap();
            ends.push(wire.len());
        }
        let known = known.min(wire.len() - 1);
        let opened = ends.iter().filter(|end| **end <= known).count().min(opened);
        let mut taken = input(&wire[..known]);
        for _ in 0..opened {
            pull.pull(&mut taken).unwrap().unwrap();
        }
        let read = input(&wire[known - taken.len()..known]);
        let end = *ends.iter().find(|end| **end > known).unwrap();
        let judge = |bytes: &[u8]| pull.judge(&read, std::iter::empty(), bytes.chunks(cut));
        prop_assert_eq!(judge(&wire[known..end - 1]), Verdict::Unknown);
        prop_assert_eq!(judge(&wire[known..end]), Verdict::Authentic);
        prop_assert_eq!(judge(&wire[known..]), Verdict::Authentic);
        let mut forged = wire.clone();
        forged[known + flipped % (end - known)] ^= 1;
        prop_assert!(judge(&forged[known..end]) != Verdict::Authentic);
        // Behind bytes that were read and not decrypted, in two places.
        let half = read.len() / 2;
        let all = wire[known - read.len()..known].to_vec();
        let verdict = pull.judge(&input(&all[..half]), all[half..].chunks(cut), wire[known..].chunks(cut));
        prop_assert_eq!(verdict, Verdict::Authentic);
    }

    #[test]
    fn the_cipher_equals_the_crate_of_its_name(
        key in any::<[u8; 32]>(),
        header in any::<[u8; 24]>(),
        messages in prop::collection::vec((0_u8..3, prop::collection::vec(any::<u8>(), 0..1200)), 1..4),
    ) {
        let mut ours = Cipher::new(&key, &header);
        let their_key = Key::try_from(&key[..]).unwrap();
        let (their_header, mut theirs) = PushStream::init(Fixed(header), &their_key);
        prop_assert_eq!(their_header.as_ref(), &header[..]);
        let mut their_pull = PullStream::init(Header::try_from(&header[..]).unwrap(), &their_key);
        for (tag, message) in messages {
            let mut sealed = Vec::new();
            ours.seal(tag, &message, &mut sealed);
            let mut expected = message.clone();
            theirs.push(&mut expected, &[], Tag::try_from(tag).unwrap()).unwrap();
            prop_assert_eq!(&sealed, &expected);
            their_pull.pull(&mut sealed, &[]).unwrap();
            prop_assert_eq!(sealed, message);
        }
    }
}

/// Short messages have another implementation of the authenticator than long ones.
#[test]
fn messages_of_each_length_equal_those_of_the_crate_of_that_name() {
    let (key, header) = ([5; 32], [6; 24]);
    let (mut ours, mut ours_open) = (Cipher::new(&key, &header), Cipher::new(&key, &header));
    let (_, mut theirs) = PushStream::init(Fixed(header), &Key::try_from(&key[..]).unwrap());
    let bytes: Vec<u8> = (0..3000_usize).map(|index| (index * 31 + index / 256) as u8).collect();
    for length in (0..200).chain(2048 - 80..2048 + 80) {
        let (message, mut sealed) = (&bytes[..length], Vec::new());
        ours.seal(TAG_MESSAGE, message, &mut sealed);
        let mut expected = message.to_vec();
        theirs.push(&mut expected, &[], Tag::try_from(TAG_MESSAGE).unwrap()).unwrap();
        assert_eq!(sealed, expected, "{length} bytes");

        let (sealed_tag, rest) = sealed.split_first().unwrap();
        let (ciphertext, mac) = rest.split_at(length);
        let (first, second) = ciphertext.split_at(length / 3);
        let mut opened = vec![0; length];
        let tag =
            ours_open.open(*sealed_tag, [first, second].into_iter(), mac.try_into().unwrap(), &mut opened);
        assert_eq!((tag, &opened[..]), (Some(TAG_MESSAGE), message), "{length} bytes");
    }
}

/// A generator that yields one value over and over.
struct Fixed([u8; 24]);

impl rand::RngCore for Fixed {
    fn next_u32(&mut self) -> u32 {
        unimplemented!("headers are filled as bytes")
    }

    fn next_u64(&mut self) -> u64 {
        unimplemented!("headers are filled as bytes")
    }

    fn fill_bytes(&mut self, dest: &mut [u8]) {
        dest.copy_from_slice(&self.0);
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rand::Error> {
        self.fill_bytes(dest);
        Ok(())
    }
}

impl rand::CryptoRng for Fixed {}

/// The sending end of a responder, the receiving end of its initiator, and the header on its way.
fn stream(limit: usize) -> (Push, Pull, Vec<u8>) {
    let (initiator, responder) = keys();
    let push = Push::with_header(&responder, [9; 24]);
    let wire = push.header().to_vec();
    (push, Pull::new(&initiator, limit), wire)
}

fn keys() -> (Keys, Keys) {
    let hash = [7; 64];
    (Keys::new(&[1; 32], &[2; 32], &hash, true), Keys::new(&[2; 32], &[1; 32], &hash, false))
}

fn input(bytes: &[u8]) -> Input {
    let mut input = Input::default();
    input.push(bytes.to_vec());
    input
}

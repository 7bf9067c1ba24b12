//! Two links with a hand-driven driver between them.

use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::ReadBuf;
use tokio::sync::mpsc;

use super::shared::{Proof, lock};
use super::{End, Link};
use crate::connect::noise::Session;
use crate::connect::{AttemptId, Established, Origin, Path, Report, ServerId};
use crate::keys::KeyPair;
use crate::net::command::{Command, ConnectionHandle};
use crate::secret_stream::Keys;
use crate::udx::{StreamId, StreamStats};

#[test]
fn bytes_arrive_in_order_whatever_the_pieces() {
    let (dialler, acceptor) = pair();
    let sent: Vec<u8> = (0..100_000_u32).map(|index| (index * 7) as u8).collect();
    assert_eq!(write(&dialler, &sent), Poll::Ready(Ok(64 * 1024)));
    assert_eq!(write(&dialler, &sent[64 * 1024..]), Poll::Ready(Ok(100_000 - 64 * 1024)));
    for piece in encrypted(&dialler).chunks(777) {
        acceptor.push_incoming(piece.to_vec());
    }
    let mut received = Vec::new();
    while let Poll::Ready(Ok(piece)) = read(&acceptor, 1000) {
        received.extend(piece);
    }
    assert_eq!(received, sent);
}

#[test]
fn a_long_write_becomes_messages_that_do_not_take_long_on_the_path() {
    let (dialler, _acceptor) = pair();
    let data = vec![0; 100_000];
    for (mbit, length) in [(0, 4096), (8, 5000), (40, 25_000), (80, 50_000), (10_000, 65_536)] {
        dialler.set_pace(mbit * 125_000);
        assert_eq!(write(&dialler, &data), Poll::Ready(Ok(length)), "{mbit} Mbit/s");
        dialler.take_outgoing();
    }
    dialler.set_pace(0);
    assert_eq!(write(&dialler, &data[..4096]), Poll::Ready(Ok(4096)), "one message");
}

#[test]
fn message_borders_survive_and_a_part_read_leaves_the_rest() {
    let (dialler, acceptor) = pair();
    for message in [b"first".as_slice(), b"", b"second", b"third"] {
        assert_eq!(write_message(&dialler, message), Poll::Ready(Ok(())));
    }
    acceptor.push_incoming(encrypted(&dialler));
    assert_eq!(read_message(&acceptor), Poll::Ready(Ok(Some(b"first".to_vec()))));
    assert_eq!(read(&acceptor, 2), Poll::Ready(Ok(b"se".to_vec())));
    assert_eq!(read_message(&acceptor), Poll::Ready(Ok(Some(b"cond".to_vec()))));
    assert_eq!(read_message(&acceptor), Poll::Ready(Ok(Some(b"third".to_vec()))));
    assert_eq!(read_message(&acceptor), Poll::Pending);
}

#[test]
fn a_full_ring_holds_the_writer_back_until_the_driver_takes() {
    let (dialler, _acceptor) = pair();
    let data = vec![0; 64 * 1024];
    let mut written = 0;
    while let Poll::Ready(Ok(length)) = write(&dialler, &data) {
        written += length;
        assert!(written < 1 << 20, "the ring has no end");
    }
    assert!(!dialler.take_outgoing().frames.is_empty());
    assert!(write(&dialler, &data).is_ready());
}

#[test]
fn a_writer_waits_sooner_while_many_connections_send() {
    let (dialler, _acceptor) = pair();
    dialler.spares.set_send_share(16 << 10);
    let data = vec![0; 64 * 1024];
    assert_eq!(write(&dialler, &data), Poll::Ready(Ok(data.len())));
    assert!(write(&dialler, &data).is_pending());
    dialler.spares.set_send_share(1 << 20);
    assert_eq!(write(&dialler, &data), Poll::Ready(Ok(data.len())));
}

#[test]
fn a_full_ring_leaves_received_bytes_in_the_stream_until_the_reader_takes() {
    let (dialler, mut acceptor) = pair();
    for _ in 0..3 {
        assert!(write(&dialler, &[5; 64 * 1024]).is_ready());
    }
    let bytes = encrypted(&dialler);
    acceptor.push_incoming(bytes[..100].to_vec());
    let (room, _) = acceptor.incoming_room(false, usize::MAX);
    acceptor.push_incoming(bytes[100..100 + room].to_vec());
    assert_eq!(acceptor.incoming_room(false, usize::MAX).0, 0);
    acceptor.rang();
    acceptor.clear_notify();
    assert!(read(&acceptor, 10).is_ready());
    assert!(acceptor.rang() >= 1, "the driver must learn that there is room");
    assert!(acceptor.incoming_room(false, usize::MAX).0 > room, "a proven peer gets more");
}

#[test]
fn the_driver_proves_the_key_without_a_reader() {
    let (dialler, acceptor) = pair();
    assert!(dialler.is_proven());
    let bytes = &dialler.first_bytes;
    acceptor.push_incoming(bytes[59..bytes.len() - 1].to_vec());
    assert_eq!(acceptor.try_prove(), Proof::Pending);
    assert!(!acceptor.is_proven());
    acceptor.push_incoming(bytes[bytes.len() - 1..].to_vec());
    assert_eq!(acceptor.try_prove(), Proof::Proven);
    assert!(acceptor.is_proven());
    assert_eq!(read(&acceptor, 10), Poll::Pending, "the message was empty");
}

#[test]
fn what_the_driver_has_decrypted_is_kept_for_the_reader() {
    let (acceptor, dialler) = opposite_pair();
    assert!(write(&dialler, b"hello").is_ready());
    acceptor.push_incoming(encrypted(&dialler));
    assert_eq!(acceptor.try_prove(), Proof::Proven);
    assert_eq!(read(&acceptor, 10), Poll::Ready(Ok(b"hello".to_vec())));
}

#[test]
fn a_header_alone_proves_nothing_and_a_keep_alive_does() {
    let (acceptor, dialler) = opposite_pair();
    acceptor.push_incoming(encrypted(&dialler));
    assert_eq!(acceptor.try_prove(), Proof::Pending);
    dialler.keep_alive();
    acceptor.push_incoming(encrypted(&dialler));
    assert_eq!(acceptor.try_prove(), Proof::Proven);
    assert_eq!(read(&acceptor, 10), Poll::Pending);
}

#[test]
fn a_large_first_message_is_left_to_the_reader() {
    let (acceptor, dialler) = opposite_pair();
    assert!(write_message(&dialler, &[1; 200_000]).is_ready());
    acceptor.push_incoming(encrypted(&dialler));
    assert_eq!(acceptor.try_prove(), Proof::Proven, "it has arrived whole");
    let (acceptor, dialler) = opposite_pair();
    assert!(write_message(&dialler, &[1; 200_000]).is_ready());
    let bytes = encrypted(&dialler);
    acceptor.push_incoming(bytes[..1000].to_vec());
    assert_eq!(acceptor.try_prove(), Proof::Pending);
    acceptor.push_incoming(bytes[1000..70_000].to_vec());
    assert_eq!(acceptor.try_prove(), Proof::Pending);
    assert_eq!(
        acceptor.incoming_room(false, usize::MAX).0,
        72 * 1024 - 69_000,
        "the driver takes no more out"
    );
}

#[test]
fn what_does_not_decrypt_ends_both_directions() {
    let (mut acceptor, dialler) = opposite_pair();
    assert!(write(&dialler, b"hello").is_ready());
    let mut bytes = encrypted(&dialler);
    *bytes.last_mut().expect("not empty") ^= 1;
    acceptor.push_incoming(bytes);
    assert_eq!(read(&acceptor, 10), Poll::Ready(Err(End::Corrupt)));
    assert_eq!(write(&acceptor, b"x"), Poll::Ready(Err(End::Corrupt)));
    assert!(acceptor.is_abandoned() && acceptor.rang() == 1);
    assert!(!acceptor.is_proven());
}

#[test]
fn what_arrived_before_a_reset_is_read_first() {
    let (dialler, acceptor) = pair();
    assert!(write(&dialler, b"last words").is_ready());
    acceptor.push_incoming(encrypted(&dialler));
    acceptor.set_end(End::Reset);
    assert_eq!(read(&acceptor, 20), Poll::Ready(Ok(b"last words".to_vec())));
    assert_eq!(read(&acceptor, 20), Poll::Ready(Err(End::Reset)));
}

#[test]
fn the_end_of_the_peers_direction_reads_as_nothing_and_writing_goes_on() {
    let (_dialler, acceptor) = pair();
    acceptor.set_incoming_finished();
    assert_eq!(read(&acceptor, 20), Poll::Ready(Ok(Vec::new())));
    assert_eq!(read_message(&acceptor), Poll::Ready(Ok(None)));
    assert!(write(&acceptor, b"x").is_ready());
    acceptor.set_end(End::Reset);
    assert_eq!(read(&acceptor, 20), Poll::Ready(Ok(Vec::new())), "an end stays an end");
}

#[test]
fn shutdown_waits_for_the_acknowledgement_and_writing_is_over() {
    let (dialler, _acceptor) = pair();
    let cx = &mut Context::from_waker(std::task::Waker::noop());
    assert!(write(&dialler, b"x").is_ready());
    assert!(dialler.poll_shutdown(cx).is_pending());
    assert_eq!(write(&dialler, b"y"), Poll::Ready(Err(End::Local)));
    let outbound = dialler.take_outgoing();
    assert!(outbound.finish && !outbound.frames.is_empty());
    assert!(dialler.poll_shutdown(cx).is_pending());
    dialler.set_finished();
    assert_eq!(dialler.poll_shutdown(cx), Poll::Ready(Ok(())));
}

#[test]
fn the_driver_is_notified_once_until_it_has_looked() {
    let (mut dialler, _acceptor) = pair();
    assert!(write(&dialler, b"x").is_ready());
    assert!(write(&dialler, b"y").is_ready());
    assert_eq!(dialler.rang(), 1);
    dialler.clear_notify();
    assert!(write(&dialler, b"z").is_ready());
    assert_eq!(dialler.rang(), 1);
}

#[test]
fn too_large_messages_and_datagrams_are_refused() {
    let (dialler, _acceptor) = pair();
    let size = crate::secret_stream::MAX_MESSAGE + 1;
    let refused = write_message(&dialler, &vec![0; size]);
    assert!(matches!(refused, Poll::Ready(Err(End::TooLarge { size: given, .. })) if given == size));
    assert!(write_message(&dialler, b"x").is_ready(), "the connection stays usable");
    let refused = dialler.send_datagram(&[0; super::MAX_DATAGRAM + 1]);
    assert!(matches!(refused, Err(End::TooLarge { .. })));
}

#[tokio::test]
async fn datagrams_beyond_the_queue_are_dropped_and_forged_ones_ignored() {
    let (dialler, acceptor) = pair();
    for index in 0..200_u8 {
        assert_eq!(dialler.send_datagram(&[index]), Ok(()));
    }
    let sealed = dialler.take_datagrams();
    assert_eq!(sealed.len(), 64);
    acceptor.push_datagram(vec![9; 40]);
    for datagram in sealed {
        acceptor.push_datagram(datagram);
    }
    // The queue of this link holds ten, of which one is forged.
    for index in 0..9 {
        assert_eq!(acceptor.recv_datagram().await.as_deref(), Ok([index].as_slice()));
    }
    acceptor.set_end(End::Orderly);
    assert_eq!(acceptor.recv_datagram().await, Err(End::Local));
}

#[tokio::test]
async fn proven_tells_the_end_if_that_comes_first() {
    let (_dialler, acceptor) = pair();
    acceptor.set_end(End::Orderly);
    assert_eq!(acceptor.proven().await, Err(End::Unproven));
}

#[tokio::test]
async fn proven_tells_that_the_peer_ended_without_a_message() {
    let (acceptor, dialler) = opposite_pair();
    acceptor.push_incoming(encrypted(&dialler));
    let (proven, ()) = tokio::join!(acceptor.proven(), async {
        acceptor.set_incoming_finished();
    });
    assert_eq!(proven, Err(End::Unproven));
}

#[tokio::test]
async fn a_message_before_the_peer_ended_still_proves_its_key() {
    let (acceptor, dialler) = opposite_pair();
    assert!(write(&dialler, b"bye").is_ready());
    acceptor.push_incoming(encrypted(&dialler));
    acceptor.set_incoming_finished();
    assert!(acceptor.proven().await.is_ok());
}

#[tokio::test]
async fn a_large_first_message_proves_the_key_to_whoever_waits_for_it() {
    let (acceptor, dialler) = opposite_pair();
    let message = vec![6; 200 * 1024];
    assert!(write_message(&dialler, &message).is_ready());
    let bytes = encrypted(&dialler);
    let mut rest = bytes.as_slice();
    let proven = acceptor.proven();
    tokio::pin!(proven);
    let proven = loop {
        tokio::select! {
            biased;
            proven = &mut proven => break proven,
            () = std::future::ready(()) => {
                let (room, mut chunk) = acceptor.incoming_room(false, usize::MAX);
                assert!(room > 0 && !rest.is_empty(), "the reader takes nothing");
                let (now, later) = rest.split_at(room.min(rest.len()).min(20_000));
                rest = later;
                chunk.extend_from_slice(now);
                acceptor.push_incoming(chunk);
            }
        }
    };
    assert!(proven.is_ok());
    assert_eq!(read_message(&acceptor), Poll::Ready(Ok(Some(message))));
}

#[tokio::test]
async fn what_comes_after_a_wait_for_the_proof_began_ends_the_wait() {
    let (acceptor, dialler) = opposite_pair();
    let acceptor = Arc::new(acceptor);
    let waiting = tokio::spawn({
        let link = acceptor.link.clone();
        async move { link.proven().await }
    });
    tokio::task::yield_now().await;
    assert!(write(&dialler, b"x").is_ready());
    acceptor.push_incoming(encrypted(&dialler));
    assert!(waiting.await.expect("it does not panic").is_ok());
}

#[test]
fn a_proof_that_comes_late_leaves_what_the_reader_has_decrypted() {
    let (acceptor, dialler) = opposite_pair();
    assert!(write_message(&dialler, b"first").is_ready());
    assert!(write_message(&dialler, b"second").is_ready());
    acceptor.push_incoming(encrypted(&dialler));
    assert_eq!(read(&acceptor, 2), Poll::Ready(Ok(b"fi".to_vec())));
    let proof = acceptor.prove_with(lock(&acceptor.opener), usize::MAX);
    assert_eq!(proof, Proof::Proven);
    assert_eq!(read(&acceptor, 10), Poll::Ready(Ok(b"rstsecond".to_vec())));
}

#[test]
fn a_read_takes_the_messages_that_fit_and_of_a_longer_one_a_part() {
    let (dialler, acceptor) = pair();
    for message in [&b"one"[..], b"", b"two", b"seventeen letters", b"end"] {
        assert!(write_message(&dialler, message).is_ready());
    }
    acceptor.push_incoming(encrypted(&dialler));
    let mut reads = Vec::new();
    while let Poll::Ready(bytes) = read(&acceptor, 10) {
        reads.push(String::from_utf8(bytes.expect("all is authentic")).expect("all is text"));
    }
    assert_eq!(reads, ["onetwo", "seventeen ", "lettersend"]);
}

#[test]
fn what_precedes_a_forged_frame_is_read_before_the_error() {
    let (dialler, acceptor) = pair();
    assert!(write_message(&dialler, b"good").is_ready());
    assert!(write_message(&dialler, b"bad").is_ready());
    let mut bytes = encrypted(&dialler);
    *bytes.last_mut().expect("not empty") ^= 1;
    acceptor.push_incoming(bytes);
    assert_eq!(read(&acceptor, 100), Poll::Ready(Ok(b"good".to_vec())));
    assert_eq!(read(&acceptor, 100), Poll::Ready(Err(End::Corrupt)));
}

#[test]
fn memory_of_received_bytes_is_counted_wherever_it_waits() {
    let (dialler, acceptor) = pair();
    assert!(write(&dialler, &[5; 64 * 1024]).is_ready());
    let bytes = encrypted(&dialler);
    let spares = acceptor.spares.clone();
    let before = spares.held();
    acceptor.push_incoming(bytes[..40_000].to_vec());
    assert_eq!(spares.held(), before + 40_000);
    // An unfinished message waits to be decrypted, and what is left of one to be read.
    assert!(read(&acceptor, 10).is_pending());
    assert!((before + 40_000..before + 41_000).contains(&spares.held()), "{}", spares.held());
    acceptor.push_incoming(bytes[40_000..].to_vec());
    assert!(read(&acceptor, 10).is_ready());
    assert!(spares.held() >= before + 64 * 1024);
    assert_eq!(acceptor.held(), spares.held());
    assert!(read(&acceptor, 70_000).is_ready());
    acceptor.push_incoming(Vec::new());
    assert!(read(&acceptor, 10).is_pending());
    assert!(acceptor.held() < 200, "{} are spare again", acceptor.held());
    acceptor.push_incoming(vec![1; 500]);
    acceptor.push_datagram(vec![1; 700]);
    assert!(acceptor.held() >= 1200, "{}", acceptor.held());
    drop(acceptor);
    assert_eq!(spares.held(), 0);
}

struct Side {
    link: Arc<Link>,
    wakeups: mpsc::UnboundedReceiver<StreamId>,
    first_bytes: Vec<u8>,
}

impl Side {
    fn rang(&mut self) -> usize {
        std::iter::from_fn(|| self.wakeups.try_recv().ok()).count()
    }
}

impl std::ops::Deref for Side {
    type Target = Link;

    fn deref(&self) -> &Link {
        &self.link
    }
}

/// Makes both ends of a connection; the header frame of the dialling one has arrived.
fn pair() -> (Side, Side) {
    let (ab, ba, hash) = ([1; 32], [2; 32], [3; 64]);
    let attempt = Origin::Attempt(AttemptId(1));
    let dialler = side(Keys::new(&ab, &ba, &hash, true), attempt);
    let server = Origin::Server(ServerId(1));
    let acceptor = side(Keys::new(&ba, &ab, &hash, false), server);
    acceptor.push_incoming(dialler.first_bytes[..59].to_vec());
    // Every frame depends on those before it.
    let mut rest = dialler.first_bytes[59..].to_vec();
    if !rest.is_empty() {
        lock(&dialler.outgoing).ring.push(std::mem::take(&mut rest));
    }
    // Streams so fast that the longest messages are sent.
    dialler.set_pace(u64::MAX);
    acceptor.set_pace(u64::MAX);
    (dialler, acceptor)
}

/// Makes an accepting end whose peer sends its header frame and nothing more unasked, as the reference does.
fn opposite_pair() -> (Side, Side) {
    let (ab, ba, hash) = ([1; 32], [2; 32], [3; 64]);
    let server = Origin::Server(ServerId(1));
    let acceptor = side(Keys::new(&ba, &ab, &hash, true), server);
    let dialler = side(Keys::new(&ab, &ba, &hash, false), server);
    acceptor.push_incoming(dialler.first_bytes.clone());
    (acceptor, dialler)
}

fn side(keys: Keys, origin: Origin) -> Side {
    let (wake, wakeups) = mpsc::unbounded_channel();
    let (link, header) = link(StreamId(1), keys, origin, wake);
    Side { link, wakeups, first_bytes: header }
}

#[tokio::test]
async fn what_a_stream_has_measured_is_known_though_the_driver_finds_it_gone() {
    let (wake, _wakeups) = mpsc::unbounded_channel();
    let (link, _) = dialler(StreamId(1), wake);
    let (node, mut commands) = mpsc::unbounded_channel();
    let handle = ConnectionHandle::new(link.clone(), node);
    let measured = StreamStats { window: 7, ..StreamStats::default() };
    let driver = async {
        // Dropped, and with it what would have been its answer.
        assert!(matches!(commands.recv().await, Some(Command::StreamStats { stream: StreamId(1), .. })));
        tokio::task::yield_now().await;
        link.set_last_stats(Box::new(measured));
        link.set_end(End::Reset);
    };
    let (stats, ()) = tokio::join!(handle.stats(), driver);
    assert_eq!(stats, Some(measured));
    // Once the end is known the driver is not asked.
    assert_eq!(handle.stats().await, Some(measured));
    assert!(commands.try_recv().is_err());
}

/// Makes the dialling end of a connection, and returns what it sends first.
pub(super) fn dialler(stream: StreamId, wake: mpsc::UnboundedSender<StreamId>) -> (Arc<Link>, Vec<u8>) {
    link(stream, Keys::new(&[1; 32], &[2; 32], &[3; 64], true), Origin::Attempt(AttemptId(1)), wake)
}

/// Makes the accepting end of that connection, and returns what it sends first.
pub(super) fn acceptor(stream: StreamId, wake: mpsc::UnboundedSender<StreamId>) -> (Arc<Link>, Vec<u8>) {
    link(stream, Keys::new(&[2; 32], &[1; 32], &[3; 64], false), Origin::Server(ServerId(1)), wake)
}

fn link(
    stream: StreamId,
    keys: Keys,
    origin: Origin,
    wake: mpsc::UnboundedSender<StreamId>,
) -> (Arc<Link>, Vec<u8>) {
    let [own_key, remote] = [6, 5].map(|seed| *KeyPair::from_seed(&[seed; 32]).public_key());
    let established = Established {
        origin,
        stream,
        session: Session { keys, holepunch_secret: [0; 32].into(), own_key, remote_public_key: remote },
        path: Path::Direct,
        remote: "127.0.0.1:1".parse().expect("valid"),
        report: Report::default(),
    };
    Link::new(&established, wake, Arc::default(), usize::MAX, 10)
}

/// Returns what the driver would put into the stream.
fn encrypted(link: &Link) -> Vec<u8> {
    link.take_outgoing().frames.into_iter().flatten().collect()
}

fn write(link: &Link, data: &[u8]) -> Poll<Result<usize, End>> {
    link.poll_write(&mut Context::from_waker(std::task::Waker::noop()), data)
}

fn write_message(link: &Link, data: &[u8]) -> Poll<Result<(), End>> {
    link.poll_write_message(&mut Context::from_waker(std::task::Waker::noop()), data)
}

fn read(link: &Link, length: usize) -> Poll<Result<Vec<u8>, End>> {
    let mut bytes = vec![0; length];
    let mut buffer = ReadBuf::new(&mut bytes);
    link.poll_read(&mut Context::from_waker(std::task::Waker::noop()), &mut buffer)
        .map_ok(|()| buffer.filled().to_vec())
}

fn read_message(link: &Link) -> Poll<Result<Option<Vec<u8>>, End>> {
    link.poll_read_message(&mut Context::from_waker(std::task::Waker::noop()))
        .map_ok(|message| message.map(|bytes| bytes.to_vec()))
}

//! What the path allows: its round trip, its losses, its rate and its pace.

use std::time::{Duration, Instant};

use tracing::debug;

use super::batch::Batch;
use super::congestion::{Bbr, Beliefs, Controller, Cubic, Loss as Lost, Outcome};
use super::loss::Loss;
use super::outstanding::Outstanding;
use super::pacing::Pacer;
use super::rtt::Rtt;
use super::timer::Timer;
use super::types::CongestionControl;

/// What leaves with the next poll, whatever the windows allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Probe {
    /// A second copy of the only packet that is out.
    Copy,
    /// What shows whether the last packets were lost.
    Tail,
}

/// The control of one stream's sending.
#[derive(Debug)]
pub(super) struct Control {
    rtt: Rtt,
    loss: Loss,
    algorithm: CongestionControl,
    congestion: Box<dyn Controller>,
    pacer: Pacer,
    /// When a train that waits for its pace may leave.
    paced_until: Option<Instant>,
    probe_due: Option<Probe>,
}

impl Control {
    pub(super) fn new(algorithm: CongestionControl) -> Self {
        Self {
            rtt: Rtt::default(),
            loss: Loss::default(),
            algorithm,
            congestion: controller(algorithm, 0),
            pacer: Pacer::new(),
            paced_until: None,
            probe_due: None,
        }
    }

    /// Starts over on another path, of which nothing is known but how long the one before took.
    pub(super) fn reset(&mut self, now: Instant, in_flight: u64) {
        self.rtt = Rtt::expecting(self.rtt.smoothed());
        self.loss.reset(now);
        self.congestion = controller(self.algorithm, in_flight);
        self.pacer = Pacer::new();
        self.paced_until = None;
    }

    /// Sets what the path is thought to take before the first measurement.
    pub(super) fn expect_rtt(&mut self, rtt: Duration) {
        self.rtt.expect(rtt);
        self.congestion.expect_rtt(rtt);
    }

    pub(super) fn minimum_rtt(&self) -> Option<Duration> {
        self.rtt.minimum()
    }

    /// Returns after what time no packet is answered any more.
    pub(super) fn latest_rtt(&self) -> Option<Duration> {
        self.rtt.latest()
    }

    pub(super) const fn smoothed_rtt(&self) -> Option<Duration> {
        self.rtt.smoothed()
    }

    pub(super) fn rtt_variation(&self) -> Option<Duration> {
        self.rtt.variation()
    }

    /// Returns the pacing rate in bytes per second.
    pub(super) fn pacing_rate(&self) -> f64 {
        self.congestion.pacing_rate()
    }

    /// Returns the retransmission time-out.
    pub(super) fn timeout(&self) -> Duration {
        self.rtt.timeout()
    }

    /// Returns how many bytes may be in flight.
    pub(super) fn window(&self) -> u64 {
        self.congestion.window()
    }

    /// Learns from what a batch of received datagrams has acknowledged.
    pub(super) fn handle_batch(&mut self, now: Instant, packets: &mut Outstanding, batch: &Batch) {
        if let Some(measured) = &batch.measured {
            self.rtt.update(now, now.saturating_duration_since(measured.sent_at));
        }
        packets.mtu_mut().start();
        let lost = self.loss.update(now, batch, packets, &self.rtt);
        self.learn(now, packets, batch, lost);
        // A train that waits for the earlier, slower pace may leave sooner.
        if let Some(at) = self.paced_until {
            let ready = self.pacer.ready_at(now, self.congestion.pacing_rate());
            self.paced_until = Some(at.min(ready));
        }
    }

    /// Passes acknowledgements and losses on to the congestion controller.
    fn learn(&mut self, now: Instant, packets: &mut Outstanding, batch: &Batch, loss: Option<Lost>) {
        if self.loss.leave_recovery(packets) {
            self.congestion.leave_recovery();
            debug!(cwnd = self.congestion.window(), "loss recovery left");
        }
        if let Some(loss) = loss
            && self.loss.enter_recovery(packets)
        {
            debug!(bytes = loss.bytes, cwnd = self.congestion.window(), "loss recovery entered");
        }
        let minimum = self.rtt.minimum();
        let sample = batch.latest.as_ref().and_then(|latest| packets.sample(now, latest, minimum));
        let measured = batch.measured.as_ref();
        self.congestion.update(
            now,
            &Outcome {
                acked: batch.bytes,
                in_flight: packets.in_flight_bytes(),
                delivered: packets.delivery().delivered(),
                sample,
                rtt: measured.map(|measured| now.saturating_duration_since(measured.sent_at)),
                loss,
            },
        );
    }

    /// Returns what the controller makes of the path.
    pub(super) fn beliefs(&self) -> Beliefs {
        self.congestion.beliefs()
    }

    /// Refills the pacer before a train.
    pub(super) fn start_train(&mut self, now: Instant) {
        self.pacer.refill(now, self.congestion.pacing_rate());
    }

    /// Returns whether the pace lets a packet leave.
    pub(super) fn may_send(&self) -> bool {
        self.pacer.may_send()
    }

    /// Returns whether nothing waits for its pace at `now`.
    pub(super) fn is_ready(&self, now: Instant) -> bool {
        self.paced_until.is_none_or(|at| at <= now)
    }

    /// Notes that a packet with a number leaves as a datagram of `size` bytes; `first` if none was in flight.
    pub(super) fn sent(&mut self, now: Instant, size: usize, first: bool) {
        if self.probe_due.take() == Some(Probe::Tail) {
            self.loss.probed(now);
        }
        self.loss.sent(now, first);
        self.pacer.spend(size);
    }

    /// Makes what follows wait for its pace.
    pub(super) fn pause(&mut self, now: Instant) {
        self.paced_until = Some(self.pacer.ready_at(now, self.congestion.pacing_rate()));
    }

    /// Ends the wait for the pace if it is over.
    pub(super) fn resume(&mut self, now: Instant) {
        self.paced_until.take_if(|at| *at <= now);
    }

    /// Notes that something else than the pace holds the stream back.
    pub(super) fn rest(&mut self, packets: &mut Outstanding) {
        self.pacer.rest();
        if packets.in_flight_bytes() < self.congestion.window() {
            packets.limit_delivery();
        }
    }

    /// Returns how the tail is to be probed.
    pub(super) const fn probe_due(&self) -> Option<Probe> {
        self.probe_due
    }

    /// Drops a probe of the tail: there is nothing that it could probe.
    pub(super) const fn cancel_probe(&mut self) {
        self.probe_due = None;
    }

    /// Makes everything in flight be sent again, without blame for the path: the peer was elsewhere.
    pub(super) fn relaunch(&mut self, now: Instant, packets: &mut Outstanding) {
        packets.lose_flight();
        self.loss.reset(now);
        self.paced_until = None;
    }

    /// Returns whether nothing was acknowledged for a whole time-out.
    pub(super) const fn is_timed_out(&self) -> bool {
        self.loss.is_timed_out()
    }

    /// Returns the next deadline and its timer.
    pub(super) fn deadline(&self, packets: &Outstanding) -> Option<(Instant, Timer)> {
        let pacing = self.paced_until.map(|at| (at, Timer::Pacing));
        self.loss.deadline(packets, &self.rtt).into_iter().chain(pacing).min_by_key(|(at, _)| *at)
    }

    /// Handles what is due. Returns how many retransmission time-outs have passed in a row, if one did now.
    pub(super) fn handle_timeout(&mut self, now: Instant, packets: &mut Outstanding) -> Option<u32> {
        self.resume(now);
        let (at, timer) = self.loss.deadline(packets, &self.rtt).filter(|(at, _)| *at <= now)?;
        match timer {
            Timer::Copy => {
                packets.copied();
                // One that comes late would be measured as part of the round trip.
                self.probe_due = (now < at + LATE_COPY).then_some(Probe::Copy);
                None
            }
            Timer::TailLossProbe => {
                debug!(bytes = packets.in_flight_bytes(), "tail loss probe due");
                self.loss.probed(now);
                self.probe_due = Some(Probe::Tail);
                None
            }
            Timer::Retransmission => {
                packets.time_out(self.rtt.usual().is_some());
                let timeouts = self.loss.time_out(now, packets);
                self.congestion.time_out(packets.in_flight_bytes());
                let cwnd = self.congestion.window();
                debug!(round = timeouts, cwnd, "retransmission timed out");
                Some(timeouts)
            }
            _ => {
                let lost = self.loss.detect(now, packets, &self.rtt);
                self.learn(now, packets, &Batch::default(), lost);
                None
            }
        }
    }
}

fn controller(algorithm: CongestionControl, in_flight: u64) -> Box<dyn Controller> {
    match algorithm {
        CongestionControl::Bbr => Box::new(Bbr::new(in_flight)),
        CongestionControl::Cubic => Box::new(Cubic::new()),
    }
}

/// A copy that is so late does not leave any more.
const LATE_COPY: Duration = Duration::from_millis(5);

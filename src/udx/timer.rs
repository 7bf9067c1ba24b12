//! The timers of a stream by name.

/// What a stream waits for. Deadlines follow from its state, so none is stored here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    /// Packets that may only have been overtaken count as lost.
    Reordering,
    /// A small packet that is out alone is sent a second time, in case it is lost.
    Copy,
    /// A packet provokes an answer that shows what became of the last ones.
    TailLossProbe,
    /// Nothing was acknowledged for a whole time-out: packets are sent again.
    Retransmission,
    /// The pace lets the next train leave.
    Pacing,
    /// An acknowledgement no longer waits for data that carries it.
    Acknowledgement,
    /// A heartbeat leaves, because nothing else was sent.
    KeepAlive,
    /// A heartbeat asks whether the peer's window has opened.
    WindowProbe,
    /// A peer that has never answered a heartbeat is reported.
    Heartbeat,
    /// The peer is silent where it was not, and may see this node elsewhere.
    Pause,
    /// What has come from elsewhere is dropped.
    Claim,
    /// A peer of which nothing is heard counts as gone.
    Silence,
    /// A peer that keeps its window shut counts as one that takes nothing any more.
    Stall,
}

impl Timer {
    /// Returns the reason that `poll_timeout` gives.
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::Reordering => "reordering",
            Self::Copy => "copy",
            Self::TailLossProbe => "tail loss probe",
            Self::Retransmission => "retransmission",
            Self::Pacing => "pacing",
            Self::Acknowledgement => "acknowledgement",
            Self::KeepAlive => "keep-alive",
            Self::WindowProbe => "window probe",
            Self::Heartbeat => "heartbeat without answer",
            Self::Pause => "pause of the peer",
            Self::Claim => "packets from elsewhere",
            Self::Silence => "peer without answer",
            Self::Stall => "window shut for too long",
        }
    }
}

//! BBR, third version (draft-ietf-ccwg-bbr-03), whose sections are cited below.
//!
//! A model of the path, its bandwidth and its shortest round trip, decides, and not each loss: UDX streams
//! run over home uplinks and radio links, where random loss would hold a loss-based controller far under what
//! the path carries. What queues overflow with bounds the model ([`bounds`](super::bounds)), so that flows
//! beside get their part. The reference has the first version (`udx.md` §15), which sees no losses at all.
//!
//! Apart from the draft:
//!
//! * losses count while a queue delays packets, see [`bounds`](super::bounds);
//! * probes for bandwidth follow each other after eight round trips as long as none meets congestion, and
//!   after the draft's time otherwise;
//! * a probe waits for what it has sent to be acknowledged, and doubles its pace as long as it finds more,
//!   unless a queue stood before it: then others leave room for a moment only, in PROBE_RTT;
//! * after STARTUP the rate of a round is the mean of its samples, and what the path loses with empty queues
//!   is sent in addition;
//! * two rounds with a queue that deliver far less than the known rate replace it: the link has become
//!   narrower;
//! * a probe sends more in flows of few packets, the rate that it has reached counts at once, and a queue
//!   takes from each flow in proportion to its rate, in the time after STARTUP also while what a probe has
//!   sent drains: so flows converge that share one;
//! * beside flows that keep a queue of more than a round trip, as loss-based control does, the rate is
//!   measured anew, no part of it is left to them, and probes have room;
//! * the shortest round trip is measured as soon as others do so;
//! * the first window is larger and paced, and STARTUP grows faster while no queue shows, and ends with the
//!   rate that the first queue shows, see [`acceleration`](super::acceleration).
//!
//! | file | what is in it |
//! |---|---|
//! | `state` | what the controller knows, and how it learns |
//! | `rounds` | what a round has delivered and lost, and what follows from that |
//! | `startup` | the end of STARTUP |
//! | `cycle` | the cycle of probes, and the measurement of the shortest round trip |
//! | `output` | the pacing rate and the window |

mod cycle;
mod output;
mod rounds;
mod startup;
mod state;

pub(in crate::udx) use state::Bbr;

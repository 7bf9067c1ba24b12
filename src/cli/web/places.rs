//! A bounded number of places, shared by the hosts that take them.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot;

/// Places for clients, the one that came first in front.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    taken: Mutex<VecDeque<(IpAddr, oneshot::Sender<Infallible>)>>,
}

/// A place; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Place(oneshot::Receiver<Infallible>);

impl Places {
    pub(super) const fn new(most: usize) -> Self {
        Self { most, taken: Mutex::new(VecDeque::new()) }
    }

    /// Takes a place. If there is none, the first client of the host with the most of them loses its own:
    /// clients that take their time cannot keep out one that comes later.
    pub(super) fn take(&self, host: IpAddr) -> Place {
        let (sender, receiver) = oneshot::channel();
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.retain(|(_, place)| !place.is_closed());
        if taken.len() >= self.most {
            let of_host = |host: IpAddr| taken.iter().filter(|place| place.0 == host).count();
            let first = (0..taken.len()).max_by_key(|at| (of_host(taken[*at].0), Reverse(*at)));
            first.and_then(|at| taken.remove(at));
        }
        taken.push_back((host, sender));
        Place(receiver)
    }
}

impl Place {
    /// Completes when another client has taken the place.
    pub(super) async fn lost(&mut self) {
        if let Ok(never) = (&mut self.0).await {
            match never {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_client_of_the_busiest_host_makes_room() {
        let places = Places::new(16);
        let (honest, busy) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let mut held = vec![places.take(honest)];
        for _ in 0..100 {
            held.push(places.take(busy));
            assert!(places.taken.lock().unwrap().len() <= 16);
        }
        let mut lost =
            held.iter_mut().map(|place| place.0.try_recv() == Err(oneshot::error::TryRecvError::Closed));
        assert_eq!(lost.next(), Some(false), "the honest one stays");
        let lost: Vec<_> = lost.collect();
        assert_eq!(lost.iter().filter(|lost| **lost).count(), 85);
        assert!(lost[0] && !lost[99], "the first ones go");
    }

    #[test]
    fn a_place_given_back_is_free() {
        let places = Places::new(1);
        let host = IpAddr::from([10, 0, 0, 1]);
        drop(places.take(host));
        let mut place = places.take(host);
        assert_eq!(places.taken.lock().unwrap().len(), 1);
        assert_eq!(place.0.try_recv(), Err(oneshot::error::TryRecvError::Empty));
    }
}

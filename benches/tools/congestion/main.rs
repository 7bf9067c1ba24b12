//! Runs flows over a simulated bottleneck, with the congestion control that connections use, and draws what
//! it does over time.
//!
//! ```text
//! congestion [--flows bbr,bbr] [--mbit 50] [--rtt 40] [--queue 1] [--loss 0] [--gathers 0] [--seconds 20]
//!            [--apart 5] [--seed 1] FILE.svg
//! ```
//!
//! `--flows` names one or more of `bbr` and `cubic`; each begins `--apart` seconds after the one before.
//! `--rtt` is the round trip of the empty path in milliseconds. The queue holds `--queue` times what the path
//! does. Behind it the share `--loss` of all packets is lost, and the others arrive together every
//! `--gathers` milliseconds, as on a radio link. One seed, one result.

#![allow(clippy::print_stdout)]

mod plot;

use std::time::Duration;

use hyperprofile::sim::bottleneck::{Bottleneck, OPENING, Path};
use hyperprofile::udx::CongestionControl;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let (settings, file) = Settings::parse(std::env::args().skip(1))?;
    let run = Run::new(settings);
    for (number, flow) in run.flows.iter().enumerate() {
        let (sent, lost) = (flow.sent, flow.lost.iter().sum::<f64>());
        println!("flow {} ({}): {sent} packets sent, {lost} lost", number + 1, flow.name);
    }
    std::fs::write(&file, plot::svg(&run))?;
    println!("drawn to {file}");
    Ok(())
}

struct Settings {
    flows: Vec<CongestionControl>,
    /// Bytes per second.
    rate: f64,
    rtt: Duration,
    /// How often the queue holds what the path does.
    queue: f64,
    loss: f64,
    gathers: Duration,
    seconds: f64,
    /// Seconds between the beginnings of two flows.
    apart: f64,
    seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            flows: vec![CongestionControl::Bbr; 2],
            rate: 50.0 * MBIT,
            rtt: Duration::from_millis(40),
            queue: 1.0,
            loss: 0.0,
            gathers: Duration::ZERO,
            seconds: 20.0,
            apart: 5.0,
            seed: 1,
        }
    }
}

impl Settings {
    /// Reads the arguments; the last one is the file to draw to.
    fn parse(mut words: impl Iterator<Item = String>) -> Result<(Self, String)> {
        let mut settings = Self::default();
        let mut file = None;
        while let Some(word) = words.next() {
            if !word.starts_with("--") {
                file = Some(word);
                continue;
            }
            let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
            let number = || within(&word, value.parse()?);
            match word.as_str() {
                "--flows" => settings.flows = value.split(',').map(algorithm).collect::<Result<_>>()?,
                "--mbit" => settings.rate = number()?.max(0.1) * MBIT,
                "--rtt" => settings.rtt = Duration::from_secs_f64(number()? / 1e3),
                "--queue" => settings.queue = number()?,
                "--loss" => settings.loss = share(number()?)?,
                "--seconds" => settings.seconds = number()?.max(1.0),
                "--apart" => settings.apart = number()?,
                "--gathers" => settings.gathers = Duration::from_secs_f64(number()? / 1e3),
                "--seed" => settings.seed = value.parse()?,
                other => return Err(format!("unknown option {other}").into()),
            }
        }
        if settings.flows.len() > plot::COLOURS.len() {
            return Err(format!("more than {} flows cannot be told apart", plot::COLOURS.len()).into());
        }
        let file = file.ok_or("name the file to draw to, as congestion.svg")?;
        Ok((settings, file))
    }
}

/// Returns a number that a simulation can have.
fn within(option: &str, number: f64) -> Result<f64> {
    match number {
        number if (0.0..=10_000.0).contains(&number) => Ok(number),
        _ => Err(format!("{option} takes a number from 0 to 10000").into()),
    }
}

/// Returns a share of lost packets that a stream survives.
fn share(loss: f64) -> Result<f64> {
    if loss > 0.5 { Err("--loss takes at most 0.5".into()) } else { Ok(loss) }
}

fn algorithm(name: &str) -> Result<CongestionControl> {
    match name {
        "bbr" => Ok(CongestionControl::Bbr),
        "cubic" => Ok(CongestionControl::Cubic),
        other => Err(format!("no congestion control {other}").into()),
    }
}

/// What was seen, at each step.
struct Run {
    settings: Settings,
    flows: Vec<Flow>,
    /// Milliseconds that a packet waits in the queue.
    queue: Vec<f64>,
    /// The same for one that just finds room.
    longest_queue: f64,
}

/// What was seen of one flow, from its beginning on.
struct Flow {
    name: String,
    /// Bytes that may be in flight.
    window: Vec<f64>,
    /// Bytes per second that are acknowledged.
    rate: Vec<f64>,
    /// Packets found lost since the step before.
    lost: Vec<f64>,
    sent: u64,
}

impl Run {
    fn new(settings: Settings) -> Self {
        let path = Path::new(settings.rate, settings.rtt, settings.queue);
        let mut bottleneck =
            Bottleneck::new(settings.seed, Path { loss: settings.loss, gathers: settings.gathers, ..path });
        let mut flows = Vec::new();
        for (number, algorithm) in settings.flows.iter().enumerate() {
            bottleneck.add(*algorithm, OPENING + Duration::from_secs_f64(settings.apart * number as f64));
            let name = format!("{algorithm:?}").to_uppercase();
            flows.push(Flow { name, window: vec![], rate: vec![], lost: vec![], sent: 0 });
        }
        bottleneck.run_for(OPENING);
        let mut queue = Vec::new();
        let mut before = vec![(0, 0); flows.len()];
        for step in 0..(settings.seconds / STEP) as usize {
            bottleneck.run_for(Duration::from_secs_f64(STEP));
            queue.push(bottleneck.waiting() as f64 / settings.rate * 1e3);
            for (number, flow) in flows.iter_mut().enumerate() {
                let Some(stats) = bottleneck.stats(number) else {
                    continue;
                };
                let (delivered, lost) = (stats.delivered, stats.traffic.packets_lost);
                let has_begun = step as f64 * STEP >= settings.apart * number as f64;
                let seen = |value: f64| if has_begun { value } else { f64::NAN };
                flow.window.push(seen(stats.window as f64));
                flow.rate.push(seen((delivered - before[number].0) as f64 / STEP));
                flow.lost.push((lost - before[number].1) as f64);
                flow.sent = stats.traffic.packets_sent;
                before[number] = (delivered, lost);
            }
        }
        let longest_queue = path.queue as f64 / settings.rate * 1e3;
        Self { settings, flows, queue, longest_queue }
    }
}

/// Bytes per second.
const MBIT: f64 = 125_000.0;
/// Seconds between two samples.
const STEP: f64 = 0.05;

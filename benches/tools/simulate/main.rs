//! Runs the DHT core, the same that serves real networks, by the thousand in virtual time, and reports how
//! the whole behaves.
//!
//! ```text
//! simulate [--nodes 1000] [--minutes 60] [--lookups 2] [--seed 1] [--loss 0.01] [--churn 0.5]
//!          [--clients 0.1] [--attacker 0]
//!          [--cold false] [--algorithm ours|reference|both] [--growth 100,300,1000,…] [--plot FILE]
//! ```
//!
//! Nodes join during the first sixth of the time. Then every node announces a key and looks keys of others
//! up, `--lookups` times a second all together. `--churn` is the share of nodes replaced per hour, without a
//! farewell; `--clients` how many guests behind NATs there are per node; they do their share of the lookups.
//! An attacker with `--attacker` addresses has all their ports and so ids next to any key, and names only
//! them; `--cold true` lets every lookup come from a guest that has only just come. One seed, one result.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod earth;
mod machine;
mod plot;
mod report;
mod world;

use std::time::Instant;

use report::Report;
use world::{Algorithm, Settings, World};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let options = Options::parse(std::env::args().skip(1))?;
    println!("{}", Report::HEAD);
    let mut reports = Vec::new();
    for nodes in &options.growth {
        for algorithm in &options.algorithms {
            let settings = Settings { nodes: *nodes, algorithm: *algorithm, ..options.settings };
            let start = Instant::now();
            let report = World::new(settings).run();
            println!("{report}  {:>6.1} s", start.elapsed().as_secs_f64());
            reports.push(report);
        }
    }
    if let Some(file) = options.plot {
        std::fs::write(file, plot::growth(&reports))?;
    }
    Ok(())
}

struct Options {
    settings: Settings,
    algorithms: Vec<Algorithm>,
    growth: Vec<usize>,
    plot: Option<String>,
}

impl Options {
    fn parse(words: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            settings: Settings::default(),
            algorithms: vec![Algorithm::Ours],
            growth: Vec::new(),
            plot: None,
        };
        let words: Vec<_> = words.collect();
        for pair in words.chunks(2) {
            let [name, value] = pair else {
                return Err(format!("{} needs a value", pair[0]).into());
            };
            let settings = &mut options.settings;
            match name.as_str() {
                "--nodes" => settings.nodes = value.parse()?,
                "--minutes" => settings.minutes = value.parse()?,
                "--lookups" => settings.lookups = value.parse()?,
                "--seed" => settings.seed = value.parse()?,
                "--loss" => settings.loss = value.parse()?,
                "--churn" => settings.churn = value.parse()?,
                "--clients" => settings.clients = value.parse()?,
                "--attacker" => settings.attacker = value.parse()?,
                "--cold" => settings.cold = value.parse()?,
                "--plot" => options.plot = Some(value.clone()),
                "--growth" => {
                    let sizes = value.split(',').map(str::parse);
                    options.growth = sizes.collect::<std::result::Result<_, _>>()?;
                }
                "--algorithm" => {
                    options.algorithms = match value.as_str() {
                        "ours" => vec![Algorithm::Ours],
                        "reference" => vec![Algorithm::Reference],
                        "both" => vec![Algorithm::Reference, Algorithm::Ours],
                        other => return Err(format!("no algorithm {other}").into()),
                    }
                }
                other => return Err(format!("unknown option {other}").into()),
            }
        }
        if options.growth.is_empty() {
            options.growth.push(options.settings.nodes);
        }
        if options.growth.iter().any(|nodes| !(10..=200_000).contains(nodes)) {
            return Err("between 10 and 200000 nodes".into());
        }
        Ok(options)
    }
}

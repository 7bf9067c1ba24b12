//! Draws growth over the number of nodes as an SVG with one panel per figure.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::report::Report;
use crate::world::Algorithm;

/// What a panel shows of a run.
type Figure = fn(&Report) -> f64;

/// Draws messages, time and hops over the number of nodes, on a logarithmic axis.
pub(crate) fn growth(reports: &[Report]) -> String {
    let panels: [(&str, Figure); 4] = [
        ("datagrams per lookup, mean", |report| report.messages.mean),
        ("time per lookup, p95, ms", |report| report.time.p95 as f64),
        ("hops, p95", |report| report.hops.p95 as f64),
        ("lookups that found nothing, %", |report| (1.0 - report.found) * 100.0),
    ];
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" font-family=\"sans-serif\" \
         font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        WIDTH * 2.0,
        HEIGHT * 2.0,
    );
    for (number, (title, value)) in panels.into_iter().enumerate() {
        let left = WIDTH * (number % 2) as f64;
        let top = HEIGHT * (number / 2) as f64;
        panel(&mut svg, reports, title, value, left, top);
    }
    svg.push_str("</svg>\n");
    svg
}

fn panel(svg: &mut String, reports: &[Report], title: &str, value: Figure, left: f64, top: f64) {
    let most = reports.iter().map(value).fold(1e-9, f64::max) * 1.1;
    let sizes = reports.iter().map(|report| (report.nodes as f64).log10());
    let first = sizes.clone().fold(f64::MAX, f64::min);
    let last = sizes.fold(f64::MIN, f64::max).max(first + 0.1);
    let x = |nodes: usize| {
        let share = ((nodes as f64).log10() - first) / (last - first);
        left + MARGIN + INSET + share * (WIDTH - 2.0 * (MARGIN + INSET))
    };
    let y = |value: f64| top + HEIGHT - MARGIN - value / most * (HEIGHT - 2.0 * MARGIN);
    // Writing to a string does not fail.
    let _ = writeln!(
        svg,
        "<text x=\"{:.0}\" y=\"{:.0}\">{title}</text>\n\
         <path d=\"M{:.0} {:.0}V{:.0}H{:.0}\" fill=\"none\" stroke=\"#888\"/>",
        left + MARGIN,
        top + MARGIN / 2.0,
        left + MARGIN,
        top + MARGIN,
        top + HEIGHT - MARGIN,
        left + WIDTH - MARGIN,
    );
    let sizes: BTreeSet<_> = reports.iter().map(|report| report.nodes).collect();
    for nodes in sizes {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{nodes}</text>",
            x(nodes),
            top + HEIGHT - MARGIN / 2.0,
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">nodes</text>",
        left + MARGIN - 6.0,
        top + HEIGHT - MARGIN / 2.0,
    );
    // The one's numbers stand above its points, the other's below.
    for (algorithm, name, colour, offset) in
        [(Algorithm::Reference, "reference", "#c33", -6.0), (Algorithm::Ours, "ours", "#36c", 15.0)]
    {
        let points = reports.iter().filter(|report| report.algorithm == algorithm);
        let mut line = String::new();
        for report in points {
            let (x, y) = (x(report.nodes), y(value(report)));
            let below_the_axis = y + offset > top + HEIGHT - MARGIN;
            let offset = if below_the_axis { -6.0 } else { offset };
            let _ = write!(line, "{x:.1},{y:.1} ");
            let _ = writeln!(
                svg,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\" fill=\"{colour}\"/>\n\
                 <text x=\"{x:.1}\" y=\"{:.1}\" fill=\"{colour}\" text-anchor=\"middle\">{}</text>",
                y + offset,
                Short(value(report)),
            );
        }
        if !line.is_empty() {
            let legend = top + MARGIN / 2.0 + if algorithm == Algorithm::Ours { 0.0 } else { 14.0 };
            let _ = writeln!(
                svg,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\"/>\n\
                 <text x=\"{:.0}\" y=\"{legend:.0}\" fill=\"{colour}\" text-anchor=\"end\">{name}</text>",
                line.trim_end(),
                left + WIDTH - MARGIN,
            );
        }
    }
}

/// A number with as many digits as are significant.
struct Short(f64);

impl std::fmt::Display for Short {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            value if value >= 100.0 => write!(f, "{value:.0}"),
            value if value >= 10.0 => write!(f, "{value:.1}"),
            value if value.fract() == 0.0 => write!(f, "{value:.0}"),
            value => write!(f, "{value:.2}"),
        }
    }
}

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 300.0;
const MARGIN: f64 = 40.0;
/// Between an axis and the first and the last point.
const INSET: f64 = 24.0;

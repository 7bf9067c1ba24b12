//! Draws a run as an SVG: four panels above each other, with one axis of time.

use std::fmt::Write as _;

use crate::{MBIT, Run, STEP};

/// One for each flow.
pub(crate) const COLOURS: [&str; 4] = ["#1f5fbf", "#d1495b", "#2a8c55", "#b07d12"];

/// A line over time, or bars.
struct Series {
    colour: &'static str,
    values: Vec<f64>,
    is_bars: bool,
}

struct Panel {
    title: &'static str,
    series: Vec<Series>,
    /// What a dashed line marks, and where.
    mark: Option<(&'static str, f64)>,
}

/// Draws window, rate, queue and losses.
pub(crate) fn svg(run: &Run) -> String {
    let panels = panels(run);
    let height = TOP + panels.len() as f64 * (HEIGHT + GAP) + BOTTOM;
    let settings = &run.settings;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"24\" font-size=\"15\" font-weight=\"bold\">{} Mbit/s, round trip {} ms, \
         queue of {:.0} ms{}</text>\n",
        settings.rate / MBIT,
        settings.rtt.as_secs_f64() * 1e3,
        run.longest_queue,
        if settings.loss > 0.0 {
            format!(", {} % lost behind it", settings.loss * 1e2)
        } else {
            String::new()
        },
    );
    for (number, flow) in run.flows.iter().enumerate() {
        let x = LEFT + number as f64 * 170.0;
        add(
            &mut svg,
            &format!(
                "<path d=\"M{x} 44h24\" stroke=\"{}\" stroke-width=\"3\"/>\n\
                 <text x=\"{}\" y=\"48\">flow {}: {}, from {} s</text>",
                COLOURS[number],
                x + 30.0,
                number + 1,
                flow.name,
                settings.apart * number as f64,
            ),
        );
    }
    let steps = run.queue.len();
    for (number, panel) in panels.iter().enumerate() {
        draw(&mut svg, panel, TOP + number as f64 * (HEIGHT + GAP), steps);
    }
    let bottom = TOP + panels.len() as f64 * (HEIGHT + GAP) - GAP;
    let seconds = steps as f64 * STEP;
    for tick in ticks(seconds, 10.0) {
        let x = LEFT + tick / seconds * (WIDTH - LEFT - RIGHT);
        let y = bottom + 18.0;
        add(&mut svg, &format!("<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{tick}</text>"));
    }
    let (x, y) = ((LEFT + WIDTH - RIGHT) / 2.0, bottom + 38.0);
    add(&mut svg, &format!("<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\">time, s</text>\n</svg>"));
    svg
}

fn panels(run: &Run) -> Vec<Panel> {
    let each = |values: fn(&crate::Flow) -> &Vec<f64>, unit: f64, is_bars| {
        let flows = run.flows.iter().zip(COLOURS);
        let series = flows.map(|(flow, colour)| {
            let values = values(flow).iter().map(|value| value / unit).collect();
            Series { colour, values, is_bars }
        });
        series.collect::<Vec<_>>()
    };
    let settings = &run.settings;
    let holds = settings.rate * settings.rtt.as_secs_f64();
    let queue = Series { colour: "#555", values: run.queue.clone(), is_bars: false };
    vec![
        Panel {
            title: "congestion window, kB",
            series: each(|flow| &flow.window, 1e3, false),
            mark: Some(("what the path holds", holds / 1e3)),
        },
        Panel {
            title: "delivered, Mbit/s",
            series: each(|flow| &flow.rate, MBIT, false),
            mark: Some(("rate of the path", settings.rate / MBIT)),
        },
        Panel {
            title: "wait in the queue, ms",
            series: vec![queue],
            mark: Some(("full", run.longest_queue)),
        },
        Panel { title: "packets lost in 50 ms", series: each(|flow| &flow.lost, 1.0, true), mark: None },
    ]
}

fn draw(svg: &mut String, panel: &Panel, top: f64, steps: usize) {
    let values = panel.series.iter().flat_map(|series| &series.values).copied();
    let most = values.chain(panel.mark.map(|(_, at)| at)).fold(1.0, f64::max) * 1.08;
    let (right, bottom) = (WIDTH - RIGHT, top + HEIGHT);
    let x = |step: f64| LEFT + step / steps as f64 * (right - LEFT);
    let y = |value: f64| bottom - value / most * HEIGHT;
    add(svg, &format!("<g class=\"panel\">\n<text x=\"{LEFT}\" y=\"{}\">{}</text>", top - 7.0, panel.title));
    for tick in ticks(most, 4.0) {
        let y = y(tick);
        add(
            svg,
            &format!(
                "<path d=\"M{LEFT} {y:.1}H{right}\" stroke=\"#e4e4e4\"/>\n\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{tick}</text>",
                LEFT - 7.0,
                y + 4.0
            ),
        );
    }
    let seconds = steps as f64 * STEP;
    for tick in ticks(seconds, 10.0) {
        let x = x(tick / STEP);
        add(svg, &format!("<path d=\"M{x:.1} {top}V{bottom}\" stroke=\"#e4e4e4\"/>"));
    }
    // What happens in a step is drawn at its end.
    for (place, series) in panel.series.iter().enumerate() {
        let mut path = String::new();
        let points = series.values.iter().enumerate().map(|(step, value)| (x(step as f64 + 1.0), *value));
        let mut is_first = true;
        for (x, value) in points.filter(|(_, value)| !value.is_nan()) {
            let written = match series.is_bars {
                // Those of several flows stand beside each other.
                true if value > 0.0 => {
                    let x = x - 2.0 + 1.6 * place as f64;
                    write!(path, "M{x:.1} {bottom}V{:.1}", y(value))
                }
                true => Ok(()),
                false => {
                    write!(
                        path,
                        "{}{x:.1} {:.1}",
                        if std::mem::take(&mut is_first) { "M" } else { "L" },
                        y(value)
                    )
                }
            };
            written.expect("a string takes all");
        }
        let colour = series.colour;
        add(svg, &format!("<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>"));
    }
    if let Some((name, at)) = panel.mark {
        let y = y(at);
        add(
            svg,
            &format!(
                "<path d=\"M{LEFT} {y:.1}H{right}\" stroke=\"#444\" stroke-dasharray=\"5 4\"/>\n\
                 <text x=\"{right}\" y=\"{}\" text-anchor=\"end\" fill=\"#444\">- - {name}</text>",
                top - 7.0
            ),
        );
    }
    add(svg, &format!("<path d=\"M{LEFT} {top}V{bottom}H{right}\" fill=\"none\" stroke=\"#222\"/>\n</g>"));
}

/// Returns round numbers from 0 to `most`, about so many.
fn ticks(most: f64, about: f64) -> impl Iterator<Item = f64> {
    let rough = most / about;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|digit| digit * power).find(|step| *step >= rough);
    let step = step.unwrap_or(most);
    // Numbers below 1 are not exact, and need no more digits than this.
    (0..=(most / step) as usize).map(move |count| (count as f64 * step * 1e3).round() / 1e3)
}

fn add(svg: &mut String, text: &str) {
    svg.push_str(text);
    svg.push('\n');
}

const WIDTH: f64 = 960.0;
/// Of one panel, and between two.
const HEIGHT: f64 = 130.0;
const GAP: f64 = 34.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 86.0;
const BOTTOM: f64 = 20.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;

    /// Fails unless each element has its own end; returns the names of all.
    fn elements(svg: &str) -> Vec<&str> {
        let (mut open, mut all) = (Vec::new(), Vec::new());
        for part in svg.split('<').skip(1) {
            let (tag, text) = part.split_once('>').expect("a tag has an end");
            assert!(!text.contains(['>', '&']), "{text}");
            if let Some(name) = tag.strip_prefix('/') {
                assert_eq!(open.pop(), Some(name));
                continue;
            }
            let name = tag.split([' ', '/']).next().unwrap_or_default();
            assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
            all.push(name);
            if !tag.ends_with('/') {
                open.push(name);
            }
        }
        assert_eq!(open, [""; 0]);
        all
    }

    #[test]
    fn a_run_of_two_flows_is_drawn_in_four_panels() {
        let settings = Settings { rate: 5.0 * MBIT, seconds: 4.0, apart: 2.0, ..Settings::default() };
        let run = Run::new(settings);
        let [first, second] = &run.flows[..] else { panic!("two flows") };
        assert_eq!(run.queue.len(), 80);
        assert!(first.lost.iter().sum::<f64>() > 0.0, "the queue is full at times");
        assert!(second.window[..40].iter().all(|window| window.is_nan()), "it has not begun");
        assert!(second.window[60] > 0.0 && second.rate[60] > 0.0);
        let svg = svg(&run);
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        let all = elements(&svg);
        assert_eq!((all[0], all.iter().filter(|name| **name == "g").count()), ("svg", 4));
        let titles =
            ["congestion window, kB", "delivered, Mbit/s", "wait in the queue, ms", "packets lost in"];
        for words in titles.iter().chain(&["time, s", "flow 1: BBR", "flow 2: BBR, from 2 s"]) {
            assert_eq!(svg.matches(words).count(), 1, "{words}");
        }
        for colour in &COLOURS[..2] {
            // The legend, the window, the rate and the losses.
            assert_eq!(svg.matches(&format!("stroke=\"{colour}\"")).count(), 4);
        }
    }

    #[test]
    fn an_axis_has_round_numbers() {
        assert_eq!(ticks(54.0, 4.0).collect::<Vec<_>>(), [0.0, 20.0, 40.0]);
        assert_eq!(ticks(0.9, 4.0).collect::<Vec<_>>(), [0.0, 0.5]);
        assert_eq!(ticks(15.0, 10.0).last(), Some(14.0));
    }
}

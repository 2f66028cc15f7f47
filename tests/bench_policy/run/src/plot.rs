//! The plot: instructions and time over the number of services, both axes logarithmic.
use std::fmt::Write as _;

use crate::list::{ENTRIES, Entry};
use crate::report::MOST_FROM_NAME;
use crate::results::Results;

const WIDTH: f64 = 1_300.0;
const HEIGHT: f64 = 560.0;
const TOP: f64 = 76.0;
const BOTTOM: f64 = 500.0;
/// Distance of two labels, so that they can be read.
const LABEL: f64 = 17.0;

struct Panel {
    title: &'static str,
    left: f64,
    right: f64,
    /// Decades shown on the vertical axis.
    decades: (i32, i32),
    unit: fn(i32) -> String,
    labels: bool,
}

/// The whole picture as SVG.
pub fn draw(results: &Results) -> String {
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"DejaVu Sans, Helvetica, sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"24\" y=\"30\" font-size=\"19\" font-weight=\"bold\" fill=\"#222\">One policy \
         decision, by number of services</text>\n"
    );
    let instructions = Panel {
        title: "instructions",
        left: 70.0,
        right: 440.0,
        decades: (1, 8),
        unit: count_text,
        labels: false,
    };
    let time = Panel {
        title: "time",
        left: 530.0,
        right: 900.0,
        decades: (0, 8),
        unit: time_text,
        labels: true,
    };
    frame(&mut out, results, &instructions);
    limit(&mut out, &instructions);
    lines(&mut out, results, &instructions, |key, size| results.instructions(key, size));
    frame(&mut out, results, &time);
    lines(&mut out, results, &time, |key, size| results.number(key, size, "ns"));
    let _ = writeln!(
        out,
        "<text x=\"{}\" y=\"{}\" fill=\"#555\" text-anchor=\"middle\">services (about 10.8 rules \
         each)</text>\n</svg>",
        (instructions.left + time.right) / 2.0,
        BOTTOM + 44.0
    );
    out
}

fn count_text(decade: i32) -> String {
    match decade {
        0..=2 => format!("{}", 10_u64.pow(decade as u32)),
        3..=5 => format!("{} k", 10_u64.pow(decade as u32 - 3)),
        _ => format!("{} M", 10_u64.pow(decade as u32 - 6)),
    }
}

fn time_text(decade: i32) -> String {
    let unit = ["ns", "µs", "ms"][(decade / 3) as usize % 3];
    format!("{} {unit}", 10_u64.pow(decade as u32 % 3))
}

fn x(panel: &Panel, results: &Results, size: usize) -> f64 {
    let log = |size: usize| (size as f64).log10();
    let (first, last) = (results.sizes.first(), results.sizes.last());
    let (first, last) = (log(*first.unwrap_or(&1)), log(*last.unwrap_or(&10)));
    panel.left + (log(size) - first) / (last - first) * (panel.right - panel.left)
}

fn y(panel: &Panel, value: f64) -> f64 {
    let (low, high) = (f64::from(panel.decades.0), f64::from(panel.decades.1));
    BOTTOM - (value.log10().max(low) - low) / (high - low) * (BOTTOM - TOP)
}

fn frame(out: &mut String, results: &Results, panel: &Panel) {
    let (left, right) = (panel.left, panel.right);
    let _ = writeln!(
        out,
        "<text x=\"{left}\" y=\"{}\" font-weight=\"bold\" fill=\"#333\">{} per decision</text>",
        TOP - 16.0,
        panel.title
    );
    for decade in panel.decades.0..=panel.decades.1 {
        let at = y(panel, 10_f64.powi(decade));
        let text = (panel.unit)(decade);
        let _ = writeln!(
            out,
            "<line x1=\"{left}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#e4e4e4\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#555\">{text}</text>",
            left - 8.0,
            at + 4.0
        );
    }
    for size in &results.sizes {
        let at = x(panel, results, *size);
        let _ = writeln!(
            out,
            "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{BOTTOM}\" stroke=\"#efefef\"/>\
             <text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\" fill=\"#555\">{size}</text>",
            BOTTOM + 20.0
        );
    }
}

/// The promised bound.
fn limit(out: &mut String, panel: &Panel) {
    let at = y(panel, MOST_FROM_NAME);
    let _ = writeln!(
        out,
        "<line x1=\"{}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#12b35a\" \
         stroke-dasharray=\"2 4\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\" font-size=\"11\" \
         fill=\"#0b7a3b\">promised: at most 200</text>",
        panel.left,
        panel.right,
        panel.right - 4.0,
        at - 5.0
    );
}

fn lines(
    out: &mut String,
    results: &Results,
    panel: &Panel,
    value: impl Fn(&'static str, usize) -> Option<f64>,
) {
    let mut labels: Vec<(f64, f64, &Entry)> = Vec::new();
    for entry in ENTRIES.iter().filter(|entry| !entry.colour.is_empty()) {
        let points: Vec<(f64, f64)> = results
            .sizes
            .iter()
            .filter_map(|size| Some((x(panel, results, *size), y(panel, value(entry.key, *size)?))))
            .collect();
        let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let width = if entry.key == "sel" || entry.key == "interned" { 3.5 } else { 1.8 };
        let colour = entry.colour;
        let _ = writeln!(
            out,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\" \
             stroke-linejoin=\"round\"/>",
            path.join(" ")
        );
        for (x, y) in &points {
            let _ =
                writeln!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>");
        }
        if let Some((x, y)) = points.last() {
            labels.push((*y, *x, entry));
        }
    }
    if panel.labels {
        legend(out, panel, labels);
    }
}

/// Names beside the lines' ends, moved apart where they would overlap.
fn legend(out: &mut String, panel: &Panel, mut labels: Vec<(f64, f64, &Entry)>) {
    labels.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut places: Vec<f64> = Vec::new();
    for (wanted, ..) in &labels {
        let free = places.last().map_or(f64::NEG_INFINITY, |last: &f64| last + LABEL);
        places.push(wanted.max(free));
    }
    // Pushed over the lower edge: move the block up.
    let over = places.last().map_or(0.0, |last| (last - BOTTOM).max(0.0));
    for ((wanted, end, entry), place) in labels.iter().zip(places) {
        let place = place - over;
        let (from, to) = (panel.right + 8.0, panel.right + 26.0);
        let title = entry.title.replace("**", "").replace('`', "");
        let weight = if entry.title.contains("**") { "bold" } else { "normal" };
        let _ = writeln!(
            out,
            "<polyline points=\"{:.1},{wanted:.1} {from:.1},{wanted:.1} {to:.1},{place:.1}\" \
             fill=\"none\" stroke=\"{1}\" stroke-width=\"0.8\" stroke-dasharray=\"3 2\"/>\
             <text x=\"{2:.1}\" y=\"{3:.1}\" fill=\"{1}\" font-weight=\"{weight}\">{title}</text>",
            end + 4.0,
            entry.colour,
            to + 4.0,
            place + 4.0
        );
    }
}

//! Charts as SVG (console spec 4.4). Colours are classes of the stylesheet; the same points give the same bytes.

use std::fmt::Write as _;

use super::fmt;
use crate::model::Point;

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 160.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 472.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 136.0;

/// Marks that are nearer to each other are one; a word takes so much; and so long may the words of one mark become.
const MARK_ROOM: f64 = 6.0;
const WORD_ROOM: f64 = 48.0;
const MAX_MARK: usize = 400;

/// Rows of the table that stands for a chart.
const MAX_ROWS: usize = 60;

/// Text that is SVG: made here of numbers, and of texts that were escaped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Svg(pub(super) String);

impl std::fmt::Display for Svg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Count,
    PerSecond,
    Seconds,
}

impl Unit {
    fn text(self, value: f64) -> String {
        match self {
            #[allow(
                clippy::cast_possible_truncation,
                reason = "saturates, which is right for a label"
            )]
            Self::Count => fmt::count(value.round() as i64),
            Self::PerSecond => fmt::rate(value),
            Self::Seconds => fmt::duration(std::time::Duration::try_from_secs_f64(value).unwrap_or_default()),
        }
    }

    /// As short as fits beside the axis.
    fn short(self, value: f64) -> String {
        match self {
            Self::Seconds => self.text(value),
            _ if value >= 1e9 => format!("{} G", short(value / 1e9)),
            _ if value >= 1e6 => format!("{} M", short(value / 1e6)),
            _ if value >= 1e4 => format!("{} k", short(value / 1e3)),
            _ => short(value),
        }
    }
}

fn short(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A line.
pub(super) struct Line {
    pub(super) label: String,
    pub(super) points: Vec<Point>,
}

/// What a chart is drawn from.
pub(super) struct Drawing {
    /// Of the fragment.
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) unit: Unit,
    /// At most four.
    pub(super) lines: Vec<Line>,
    /// Unix seconds of the left and the right edge.
    pub(super) from: i64,
    pub(super) to: i64,
    /// Unix seconds, answered, listed: where some node was silent.
    pub(super) partial: Vec<(i64, usize, usize)>,
    /// Unix seconds, a word, and all of it: what happened.
    pub(super) marks: Vec<(i64, &'static str, String)>,
}

/// A chart as it is shown.
pub(super) struct Chart {
    pub(super) title: &'static str,
    pub(super) svg: Svg,
    /// Labels and their classes.
    pub(super) legend: Vec<(String, &'static str)>,
    pub(super) heads: Vec<String>,
    /// Time, and a value of each line.
    pub(super) rows: Vec<(String, Vec<String>)>,
    /// Said instead of lines.
    pub(super) empty: String,
}

const CLASSES: [&str; 4] = ["s1", "s2", "s3", "s4"];

impl Drawing {
    pub(super) fn draw(self) -> Chart {
        let known = |line: &Line| line.points.iter().filter(|(_, value)| !value.is_nan()).count();
        let empty = if self.lines.iter().any(|line| known(line) >= 2) {
            String::new()
        } else {
            let times = self.lines.iter().flat_map(|line| line.points.first());
            let began = times.map(|(time, _)| *time).min().unwrap_or(self.to);
            format!("collecting since {}", fmt::clock(began))
        };
        let highest = self
            .lines
            .iter()
            .flat_map(|line| &line.points)
            .map(|(_, value)| f64::from(*value));
        let (top, step) = scale(highest.filter(|value| !value.is_nan()).fold(0.0, f64::max));
        let mut out = String::with_capacity(4096);
        let desc = self.describe();
        let _ = write!(
            out,
            r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" tabindex="0" aria-labelledby="c-{id}-t c-{id}-d" data-from="{}" data-to="{}"><title id="c-{id}-t">{}</title><desc id="c-{id}-d">{}</desc>"#,
            self.from,
            self.to,
            escape(self.title),
            escape(&desc),
            id = self.id,
        );
        self.bands(&mut out);
        self.axes(&mut out, top, step);
        self.marks(&mut out);
        for (line, class) in self.lines.iter().zip(CLASSES) {
            self.line(&mut out, line, class, top);
        }
        out.push_str("</svg>");
        Chart {
            title: self.title,
            svg: Svg(out),
            legend: self
                .lines
                .iter()
                .map(|line| line.label.clone())
                .zip(CLASSES)
                .collect(),
            heads: self.lines.iter().map(|line| line.label.clone()).collect(),
            rows: self.rows(),
            empty,
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "seconds of at most a week")]
    fn x(&self, time: i64) -> f64 {
        let part = time.saturating_sub(self.from) as f64 / (self.to.saturating_sub(self.from).max(1) as f64);
        LEFT + part.clamp(0.0, 1.0) * (RIGHT - LEFT)
    }

    /// Where some nodes did not answer.
    fn bands(&self, out: &mut String) {
        let mut at = 0;
        while let Some((first, answered, listed)) = self.partial.get(at).copied() {
            let mut last = first;
            // neighbours with the same counts are one band
            while let Some((next, more, all)) = self.partial.get(at + 1).copied() {
                if (more, all) != (answered, listed) || next - last > 60 {
                    break;
                }
                last = next;
                at += 1;
            }
            at += 1;
            let (left, right) = (self.x(first), self.x(last));
            let _ = write!(
                out,
                r#"<rect class="band" x="{left:.0}" y="{TOP}" width="{:.0}" height="{}"><title>{answered} of {listed} nodes</title></rect>"#,
                (right - left).max(2.0),
                BOTTOM - TOP,
            );
        }
    }

    /// What happened: neighbours are one mark, and words stand only where there is room for them.
    fn marks(&self, out: &mut String) {
        let mut groups: Vec<(f64, &'static str, String)> = Vec::new();
        for (time, word, text) in &self.marks {
            let (x, text) = (self.x(*time), format!("{text} at {}", fmt::clock(*time)));
            match groups.last_mut() {
                Some((last, _, all)) if x - *last < MARK_ROOM && all.len() < MAX_MARK => {
                    let _ = write!(all, "; {text}");
                }
                _ => groups.push((x, word, text)),
            }
        }
        let mut free = LEFT;
        for (x, word, text) in groups {
            let _ = write!(
                out,
                r#"<path class="mark" d="M{x:.0} {TOP}V{BOTTOM}"><title>{}</title></path>"#,
                escape(&text)
            );
            if x >= free && x < RIGHT - WORD_ROOM {
                let _ = write!(
                    out,
                    r#"<text class="tick" x="{:.0}" y="{}">{word}</text>"#,
                    x + 3.0,
                    TOP + 8.0
                );
                free = x + WORD_ROOM;
            }
        }
    }

    fn axes(&self, out: &mut String, top: f64, step: f64) {
        let mut value = 0.0;
        while value <= top + step / 2.0 {
            let y = BOTTOM - value / top * (BOTTOM - TOP);
            let _ = write!(
                out,
                r#"<path class="grid" d="M{LEFT} {y:.0}H{RIGHT}"/><text class="tick" x="{}" y="{:.0}" text-anchor="end">{}</text>"#,
                LEFT - 6.0,
                y + 4.0,
                escape(&self.unit.short(value)),
            );
            value += step;
        }
        let range = self.to.saturating_sub(self.from).max(1);
        let every = time_step(range);
        let mut time = self.from - self.from.rem_euclid(every) + every;
        while time <= self.to {
            let x = self.x(time);
            let label = if every >= 86_400 {
                fmt::utc(time).get(5..10).unwrap_or_default().to_owned()
            } else {
                fmt::clock(time)
            };
            if x > LEFT + 14.0 && x < RIGHT - 10.0 {
                let _ = write!(
                    out,
                    r#"<path class="grid" d="M{x:.0} {BOTTOM}v4"/><text class="tick" x="{x:.0}" y="{}" text-anchor="middle">{label}</text>"#,
                    BOTTOM + 16.0,
                );
            }
            time += every;
        }
    }

    fn line(&self, out: &mut String, line: &Line, class: &str, top: f64) {
        let mut path = String::new();
        let mut data = String::new();
        let mut is_open = false;
        for (time, value) in &line.points {
            if !data.is_empty() {
                data.push(' ');
            }
            let _ = write!(data, "{}", time.saturating_sub(self.from));
            if value.is_nan() {
                is_open = false;
                continue;
            }
            let _ = write!(data, ":{}", rounded(f64::from(*value)));
            let y = BOTTOM - f64::from(*value) / top * (BOTTOM - TOP);
            let _ = write!(
                path,
                "{}{:.0} {y:.0}",
                if is_open { 'L' } else { 'M' },
                self.x(*time)
            );
            if !is_open {
                // so that a point between two gaps is seen
                path.push_str("h0");
            }
            is_open = true;
        }
        let _ = write!(
            out,
            r#"<path class="line {class}" d="{path}" data-label="{}" data-y="{data}"/>"#,
            escape(&line.label)
        );
    }

    fn describe(&self) -> String {
        let mut sentences = Vec::new();
        for line in &self.lines {
            let known: Vec<f64> = line
                .points
                .iter()
                .map(|(_, value)| f64::from(*value))
                .filter(|value| !value.is_nan())
                .collect();
            let (Some(first), Some(last)) = (known.first(), known.last()) else {
                sentences.push(format!("{}: no value yet", line.label));
                continue;
            };
            let min = known.iter().copied().fold(f64::INFINITY, f64::min);
            let max = known.iter().copied().fold(0.0, f64::max);
            sentences.push(format!(
                "{}: first {}, last {}, lowest {}, highest {}, {}",
                line.label,
                self.unit.text(*first),
                self.unit.text(*last),
                self.unit.text(min),
                self.unit.text(max),
                trend(*first, *last),
            ));
        }
        sentences.extend(
            self.marks
                .iter()
                .rev()
                .take(3)
                .map(|(time, _, text)| format!("{text} at {}", fmt::clock(*time))),
        );
        sentences.join(". ")
    }

    fn rows(&self) -> Vec<(String, Vec<String>)> {
        let Some(first) = self.lines.first() else {
            return Vec::new();
        };
        let step = first.points.len().div_ceil(MAX_ROWS).max(1);
        let times = first.points.iter().enumerate().rev().step_by(step);
        times
            .map(|(at, (time, _))| {
                let values = self.lines.iter().map(|line| match line.points.get(at) {
                    Some((_, value)) if !value.is_nan() => self.unit.text(f64::from(*value)),
                    _ => "–".to_owned(),
                });
                (fmt::utc(*time), values.collect())
            })
            .collect()
    }
}

/// In a word.
pub(super) fn trend(first: f64, last: f64) -> &'static str {
    let change = last - first;
    if change.abs() <= (first.abs() / 20.0).max(0.5) {
        "steady"
    } else if change > 0.0 {
        "rising"
    } else {
        "falling"
    }
}

/// A line of 90 by 20 for a table; nothing without two points.
pub(super) fn sparkline(points: &[Point]) -> Svg {
    let known = || points.iter().filter(|(_, value)| !value.is_nan());
    if known().count() < 2 {
        return Svg::default();
    }
    let top = known().map(|(_, value)| *value).fold(0.0_f32, f32::max).max(1.0);
    let count = u16::try_from(points.len()).unwrap_or(u16::MAX).max(2);
    let mut path = String::new();
    let mut is_open = false;
    for (at, (_, value)) in (0_u16..).zip(points) {
        if value.is_nan() {
            is_open = false;
            continue;
        }
        let x = 1.0 + 88.0 * f32::from(at) / f32::from(count - 1);
        let y = 18.0 - value / top * 16.0;
        let _ = write!(path, "{}{x:.0} {y:.0}", if is_open { 'L' } else { 'M' });
        is_open = true;
    }
    Svg(format!(
        r#"<svg class="spark" viewBox="0 0 90 20" aria-hidden="true"><path class="line s1" d="{path}"/></svg>"#
    ))
}

/// The top of the axis and the step of its ticks: 3 to 5 steps of 1, 2 or 5.
fn scale(highest: f64) -> (f64, f64) {
    let highest = if highest > 0.0 { highest } else { 1.0 };
    let rough = highest / 4.0;
    let power = 10.0_f64.powf(rough.log10().floor());
    let part = rough / power;
    let step = if part <= 1.0 {
        1.0
    } else if part <= 2.0 {
        2.0
    } else if part <= 5.0 {
        5.0
    } else {
        10.0
    } * power;
    ((highest / step).ceil().max(1.0) * step, step)
}

/// Seconds between ticks of time: 4 to 7 of them on round times.
fn time_step(range: i64) -> i64 {
    const STEPS: [i64; 12] = [
        60, 120, 180, 300, 600, 1_200, 1_800, 3_600, 7_200, 14_400, 28_800, 86_400,
    ];
    STEPS.into_iter().find(|step| range <= step * 6).unwrap_or(86_400)
}

/// Six digits are enough for a tooltip.
fn rounded(value: f64) -> f64 {
    if value.abs() >= 1_000.0 {
        value.round()
    } else {
        (value * 1_000.0).round() / 1_000.0
    }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&#60;"),
            '>' => out.push_str("&#62;"),
            '&' => out.push_str("&#38;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawing(label: &str, points: Vec<Point>) -> Drawing {
        Drawing {
            id: "depth",
            title: "Depth",
            unit: Unit::Count,
            lines: vec![Line {
                label: label.to_owned(),
                points,
            }],
            from: 0,
            to: 900,
            partial: vec![(100, 1, 2), (105, 1, 2)],
            marks: vec![(300, "restart", "restart of d:1".to_owned())],
        }
    }

    /// Console spec 11.
    #[test]
    fn ui_094_a_chart_tells_what_it_shows_and_leaves_gaps() {
        let points = vec![(0, 5.0), (300, 9.0), (600, f32::NAN), (900, 100.0)];
        let chart = drawing("billing", points).draw();
        let svg = chart.svg.0;
        for part in [
            r#"role="img""#,
            r#"<title id="c-depth-t">Depth</title>"#,
            "billing: first 5, last 100, lowest 5, highest 100, rising",
            "<title>1 of 2 nodes</title>",
            r#"<path class="mark" d="M192 8V136"><title>restart of d:1 at 00:05</title></path>"#,
            ">restart</text>",
        ] {
            assert!(svg.contains(part), "{part} not in {svg}");
        }
        let path = svg
            .split(r#"class="line s1" d=""#)
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        assert_eq!(path.matches('M').count(), 2, "a gap is a gap: {path}");
        assert_eq!(chart.rows.len(), 4);
        assert_eq!(chart.rows[1].1, ["–"]);
        assert!(!svg.contains("style="), "{svg}");
    }

    #[test]
    fn the_same_points_give_the_same_bytes_and_few_of_them() {
        let points: Vec<Point> = (0..240)
            .map(|at| (at * 15, f32::from(i16::try_from(at).unwrap()) * 91.7))
            .collect();
        let draw = || drawing("t", points.clone()).draw().svg.0;
        assert_eq!(draw(), draw());
        assert!(draw().len() < 12 << 10, "{}", draw().len());
        let spark = sparkline(&points[..30]).0;
        assert!(spark.len() <= 420, "{}", spark.len());
    }

    #[test]
    fn labels_are_text() {
        let svg = drawing("<script>\"'&", vec![(0, 1.0), (9, 2.0)]).draw().svg.0;
        assert!(
            !svg.contains("<script") && svg.contains("&#60;script&#62;&#34;&#39;&#38;"),
            "{svg}"
        );
    }

    #[test]
    fn axes_have_round_steps() {
        for (highest, top, step) in [
            (0.0, 1.0, 0.5),
            (3.0, 3.0, 1.0),
            (91_220.0, 100_000.0, 50_000.0),
            (7.0, 8.0, 2.0),
        ] {
            assert_eq!(scale(highest), (top, step), "{highest}");
        }
        for (range, step) in [(900, 180), (3_600, 600), (86_400, 14_400), (604_800, 86_400)] {
            assert_eq!(time_step(range), step);
        }
    }

    #[test]
    fn no_value_yet_is_said() {
        assert_eq!(
            drawing("t", vec![(60, 1.0)]).draw().empty,
            "collecting since 00:01"
        );
        assert_eq!(sparkline(&[(0, 1.0)]), Svg::default());
    }
}

//! Pictures as text: bars beside each other and lines over an axis. Pure; no script, no font, light and dark.

use std::fmt::Write as _;

use crate::report::number;

const WIDTH: f64 = 860.0;
/// Colours that differ in brightness too.
const COLOURS: [&str; 6] = ["#c2571a", "#1f77b4", "#2a8c4a", "#8a56b0", "#b8860b", "#606870"];
const STYLE: &str = "<style>text{font:13px sans-serif;fill:#222}.t{font-size:16px;font-weight:bold}.s{fill:#666}\
    .g{stroke:#ddd}.b{fill:#fff}@media(prefers-color-scheme:dark){text{fill:#ddd}.s{fill:#999}.g{stroke:#444}.b{fill:#16181c}}</style>";

/// One value for each daemon, side by side.
pub(crate) struct Bars {
    pub(crate) title: String,
    pub(crate) names: Vec<String>,
    /// Label, and a value of each name.
    pub(crate) rows: Vec<(String, Vec<Option<f64>>)>,
}

/// Lines over a common axis; both axes are logarithmic.
pub(crate) struct Lines {
    pub(crate) title: String,
    pub(crate) x: String,
    pub(crate) y: String,
    pub(crate) series: Vec<(String, Vec<(f64, f64)>)>,
    /// Marks of the x axis; none takes powers of ten.
    pub(crate) marks: Vec<(f64, String)>,
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn open(height: f64, title: &str) -> String {
    let title = escaped(title);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\"><title>{title}</title>{STYLE}\n\
         <rect class=\"b\" width=\"{WIDTH}\" height=\"{height}\"/><text class=\"t\" x=\"16\" y=\"26\">{title}</text>\n"
    )
}

/// The names with their colours, from this place on.
fn legend<'a>(out: &mut String, names: impl Iterator<Item = &'a str>, y: f64) {
    let mut x = 16.0;
    for (name, colour) in names.zip(COLOURS.iter().cycle()) {
        let name = escaped(name);
        let _ = writeln!(
            out,
            "<rect x=\"{x}\" y=\"{}\" width=\"12\" height=\"12\" fill=\"{colour}\"/><text x=\"{}\" y=\"{y}\">{name}</text>",
            y - 11.0,
            x + 18.0
        );
        x += 40.0 + 7.5 * name.chars().count() as f64;
    }
}

/// A logarithmic axis from whole powers of ten to whole powers of ten.
#[derive(Clone, Copy)]
struct Axis {
    first: i32,
    last: i32,
    from: f64,
    to: f64,
}

impl Axis {
    /// None where there is nothing above zero.
    fn over(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Option<Self> {
        let (mut least, mut most) = (f64::MAX, 0.0_f64);
        for value in values.filter(|value| value.is_finite() && *value > 0.0) {
            (least, most) = (least.min(value), most.max(value));
        }
        if most == 0.0 {
            return None;
        }
        let first = least.log10().floor() as i32;
        let last = (most.log10().ceil() as i32).max(first + 1);
        Some(Self {
            first,
            last,
            from,
            to,
        })
    }

    fn at(self, value: f64) -> f64 {
        let power = if value > 0.0 {
            value.log10()
        } else {
            f64::from(self.first)
        };
        let part = (power - f64::from(self.first)) / f64::from(self.last - self.first);
        self.from + part.clamp(0.0, 1.0) * (self.to - self.from)
    }

    fn powers(self) -> impl Iterator<Item = f64> {
        (self.first..=self.last).map(|power| 10_f64.powi(power))
    }
}

/// What stands at a power of ten.
fn power(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{} M", v / 1e6),
        v if v >= 1e3 => format!("{} k", v / 1e3),
        v => format!("{v}"),
    }
}

impl Bars {
    /// The picture; none without a value.
    pub(crate) fn svg(&self) -> Option<String> {
        const LEFT: f64 = 190.0;
        const BAR: f64 = 13.0;
        let row_height = BAR * self.names.len() as f64 + 10.0;
        let height = 76.0 + row_height * self.rows.len() as f64;
        let values = self
            .rows
            .iter()
            .flat_map(|(_, values)| values.iter().flatten().copied());
        let axis = Axis::over(values, LEFT, WIDTH - 90.0)?;
        let mut out = open(height, &self.title);
        legend(&mut out, self.names.iter().map(String::as_str), 46.0);
        for mark in axis.powers() {
            let x = axis.at(mark);
            let _ = writeln!(
                out,
                "<line class=\"g\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"58\" y2=\"{:.1}\"/><text class=\"s\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                height - 18.0,
                height - 4.0,
                power(mark)
            );
        }
        for (number_of_row, (label, values)) in self.rows.iter().enumerate() {
            let top = 60.0 + row_height * number_of_row as f64;
            let _ = writeln!(
                out,
                "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 8.0,
                top + row_height / 2.0,
                escaped(label)
            );
            for (at, (value, colour)) in values.iter().zip(COLOURS.iter().cycle()).enumerate() {
                let Some(value) = value else { continue };
                let (y, end) = (top + BAR * at as f64, axis.at(*value));
                let _ = writeln!(
                    out,
                    "<rect x=\"{LEFT}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{}\" fill=\"{colour}\"/><text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                    (end - LEFT).max(1.0),
                    BAR - 1.0,
                    end.max(LEFT + 1.0) + 5.0,
                    y + BAR - 2.0,
                    number(*value)
                );
            }
        }
        out.push_str("</svg>\n");
        Some(out)
    }
}

impl Lines {
    /// The picture; none without a point.
    pub(crate) fn svg(&self) -> Option<String> {
        const HEIGHT: f64 = 440.0;
        const LEFT: f64 = 70.0;
        let points = || self.series.iter().flat_map(|(_, points)| points.iter());
        let x_axis = Axis::over(points().map(|point| point.0), LEFT, WIDTH - 30.0)?;
        let y_axis = Axis::over(points().map(|point| point.1), HEIGHT - 60.0, 64.0)?;
        let mut out = open(HEIGHT, &self.title);
        legend(&mut out, self.series.iter().map(|(name, _)| name.as_str()), 46.0);
        for mark in y_axis.powers() {
            let y = y_axis.at(mark);
            let _ = writeln!(
                out,
                "<line class=\"g\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text class=\"s\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                WIDTH - 30.0,
                LEFT - 6.0,
                y + 4.0,
                power(mark)
            );
        }
        let marks: Vec<(f64, String)> = if self.marks.is_empty() {
            x_axis.powers().map(|mark| (mark, power(mark))).collect()
        } else {
            self.marks.clone()
        };
        for (mark, text) in marks {
            let x = x_axis.at(mark);
            let _ = writeln!(
                out,
                "<line class=\"g\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"64\" y2=\"{}\"/><text class=\"s\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                HEIGHT - 60.0,
                HEIGHT - 42.0,
                escaped(&text)
            );
        }
        let _ = writeln!(
            out,
            "<text class=\"s\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text><text class=\"s\" x=\"{LEFT}\" y=\"{}\">{}</text>",
            WIDTH / 2.0,
            HEIGHT - 18.0,
            escaped(&self.x),
            HEIGHT - 18.0,
            escaped(&self.y)
        );
        for ((_, points), colour) in self.series.iter().zip(COLOURS.iter().cycle()) {
            let mut way = String::new();
            for (x, y) in points {
                let (x, y) = (x_axis.at(*x), y_axis.at(*y));
                let _ = write!(way, "{x:.1},{y:.1} ");
                let _ = writeln!(
                    out,
                    "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>"
                );
            }
            let way = way.trim_end();
            let _ = writeln!(
                out,
                "<polyline points=\"{way}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"
            );
        }
        out.push_str("</svg>\n");
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bars(rows: Vec<(String, Vec<Option<f64>>)>) -> Bars {
        Bars {
            title: "a < b".to_owned(),
            names: vec!["go".to_owned(), "ours".to_owned()],
            rows,
        }
    }

    #[test]
    fn a_bar_for_each_value_and_its_text_escaped() {
        let rows = vec![
            ("x&y".to_owned(), vec![Some(10.0), Some(1.0)]),
            ("z".to_owned(), vec![None, Some(100.0)]),
        ];
        let text = bars(rows).svg().unwrap();
        assert_eq!(text.matches("<rect").count(), 1 + 2 + 3, "ground, legend, bars");
        assert!(text.contains("a &lt; b") && text.contains("x&amp;y"));
    }

    #[test]
    fn nothing_has_no_picture() {
        assert!(bars(Vec::new()).svg().is_none());
        assert!(
            bars(vec![("x".to_owned(), vec![Some(0.0), None])])
                .svg()
                .is_none()
        );
    }

    #[test]
    fn ten_times_as_much_is_one_step_further() {
        let axis = Axis::over([1.0, 1000.0].into_iter(), 0.0, 300.0).unwrap();
        for (value, x) in [
            (1.0, 0.0),
            (10.0, 100.0),
            (100.0, 200.0),
            (1000.0, 300.0),
            (0.0, 0.0),
        ] {
            assert!((axis.at(value) - x).abs() < 1e-9, "{value}");
        }
    }

    proptest! {
        #[test]
        fn any_points_stay_inside(points in prop::collection::vec((1e-6..1e9_f64, 0.0..1e12_f64), 1..20)) {
            let lines = Lines {
                title: "t".to_owned(), x: "x".to_owned(), y: "y".to_owned(),
                series: vec![("s".to_owned(), points)], marks: Vec::new(),
            };
            for circle in lines.svg().unwrap_or_default().lines().filter(|l| l.starts_with("<circle")) {
                let of = |name: &str| -> f64 {
                    circle.split(&format!("{name}=\"")).nth(1).unwrap().split('"').next().unwrap().parse().unwrap()
                };
                prop_assert!((0.0..=WIDTH).contains(&of("cx")) && (0.0..=440.0).contains(&of("cy")));
            }
        }
    }
}

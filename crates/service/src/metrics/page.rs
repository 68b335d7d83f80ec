//! Families and samples as text.

use std::fmt::{self, Write as _};

use bytes::Bytes;
use prometheus::core::Collector;
use prometheus::proto::MetricType;

use super::accept::Format;
use super::counts::Counts;
use super::histogram::Times;

/// Bytes of text after which a rendering lets others run.
const PIECE: usize = 64 * 1024;

/// Names and values of labels.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

/// What a family measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; its name ends with `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts in buckets.
    Histogram,
    /// Quantiles.
    Summary,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
        }
    }
}

/// A page under construction.
#[derive(Debug)]
pub struct Page {
    text: String,
    format: Format,
    breathed: usize,
}

impl Page {
    /// An empty page.
    #[must_use]
    pub const fn new(format: Format) -> Self {
        Self {
            text: String::new(),
            format,
            breathed: 0,
        }
    }

    /// Begins a family. All its samples follow before the next one begins. `help` is one line without backslashes.
    pub fn family<'p>(&'p mut self, kind: Kind, name: &'p str, help: &str) -> Series<'p> {
        let shown = match (self.format, kind) {
            (Format::OpenMetrics, Kind::Counter) => name.strip_suffix("_total").unwrap_or(name),
            _ => name,
        };
        self.write(format_args!(
            "# HELP {shown} {help}\n# TYPE {shown} {}\n",
            kind.name()
        ));
        Series { page: self, name }
    }

    /// A family with one sample, without labels.
    #[allow(
        clippy::cast_precision_loss,
        reason = "numbers beyond 2^53 may be shown rounded"
    )]
    pub fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.family(Kind::Counter, name, help).value(&[], value as f64);
    }

    /// A family with one sample, without labels.
    pub fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.family(Kind::Gauge, name, help).value(&[], value);
    }

    /// A family with one histogram, without labels.
    pub fn histogram<const N: usize>(&mut self, name: &str, help: &str, times: &Times<N>) {
        self.family(Kind::Histogram, name, help).times(&[], times);
    }

    /// A family of counters by one label. A value appears with its first count.
    #[allow(
        clippy::cast_precision_loss,
        reason = "numbers beyond 2^53 may be shown rounded"
    )]
    pub fn counts<const N: usize>(&mut self, name: &str, help: &str, label: &str, counts: &Counts<N>) {
        let mut series = self.family(Kind::Counter, name, help);
        for (value, count) in counts.read().filter(|(_, count)| *count > 0) {
            series.value(&[(label, value)], count as f64);
        }
    }

    /// The families of a collector of the prometheus crate, also those that have no sample yet.
    pub fn collect(&mut self, collector: &dyn Collector) {
        for family in collector.collect() {
            let kind = match family.get_field_type() {
                MetricType::COUNTER => Kind::Counter,
                MetricType::HISTOGRAM => Kind::Histogram,
                MetricType::SUMMARY => Kind::Summary,
                MetricType::GAUGE | MetricType::UNTYPED => Kind::Gauge,
            };
            let mut series = self.family(kind, family.name(), family.help());
            for metric in family.get_metric() {
                let pairs = metric.get_label().iter();
                let labels: Vec<(&str, &str)> = pairs.map(|pair| (pair.name(), pair.value())).collect();
                match kind {
                    Kind::Counter => series.value(&labels, metric.get_counter().get_value()),
                    Kind::Gauge => series.value(&labels, metric.get_gauge().get_value()),
                    Kind::Summary => {}
                    Kind::Histogram => {
                        let histogram = metric.get_histogram();
                        let buckets = histogram.get_bucket().iter();
                        let counts = buckets.map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()));
                        let (count, sum) = (histogram.get_sample_count(), histogram.get_sample_sum());
                        series.buckets(&labels, counts, count, sum);
                    }
                }
            }
        }
    }

    /// Lets others run, if much was written since they last did.
    pub async fn breathe(&mut self) {
        if self.text.len() - self.breathed >= PIECE {
            self.breathed = self.text.len();
            tokio::task::yield_now().await;
        }
    }

    /// The finished page.
    #[must_use]
    pub fn finish(mut self) -> Bytes {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        Bytes::from(self.text)
    }

    fn write(&mut self, arguments: fmt::Arguments<'_>) {
        // A string takes everything.
        let _ = self.text.write_fmt(arguments);
    }
}

/// The samples of a family.
#[derive(Debug)]
pub struct Series<'p> {
    page: &'p mut Page,
    name: &'p str,
}

impl Series<'_> {
    /// One sample.
    pub fn value(&mut self, labels: Labels<'_>, value: f64) {
        self.sample("", labels, None, value);
    }

    /// One sample of a summary.
    pub fn quantile(&mut self, labels: Labels<'_>, quantile: f64, value: f64) {
        self.sample("", labels, Some(("quantile", quantile)), value);
    }

    /// One histogram of times, shown in seconds.
    #[allow(
        clippy::cast_precision_loss,
        reason = "numbers beyond 2^53 may be shown rounded"
    )]
    pub fn times<const N: usize>(&mut self, labels: Labels<'_>, times: &Times<N>) {
        let seconds = |ns: u64| ns as f64 / 1e9;
        let mut below = 0;
        let counts = times.buckets().map(|(bound, count)| {
            below += count;
            (seconds(bound), below)
        });
        self.buckets(labels, counts, times.count(), seconds(times.sum()));
    }

    #[allow(
        clippy::cast_precision_loss,
        reason = "numbers beyond 2^53 may be shown rounded"
    )]
    fn buckets(
        &mut self,
        labels: Labels<'_>,
        counts: impl Iterator<Item = (f64, u64)>,
        count: u64,
        sum: f64,
    ) {
        for (bound, below) in counts {
            self.sample("_bucket", labels, Some(("le", bound)), below as f64);
        }
        self.sample("_bucket", labels, Some(("le", f64::INFINITY)), count as f64);
        self.sample("_sum", labels, None, sum);
        self.sample("_count", labels, None, count as f64);
    }

    fn sample(&mut self, suffix: &str, labels: Labels<'_>, bound: Option<(&str, f64)>, value: f64) {
        let page = &mut *self.page;
        page.write(format_args!("{}{suffix}", self.name));
        let mut separator = '{';
        for (name, value) in labels {
            page.write(format_args!("{separator}{name}=\"{}\"", Escaped(value)));
            separator = ',';
        }
        if let Some((name, bound)) = bound {
            let bound = Number(bound);
            match page.format {
                Format::Text => page.write(format_args!("{separator}{name}=\"{bound}\"")),
                // Bounds are floats there, also when they are whole.
                Format::OpenMetrics => page.write(format_args!("{separator}{name}=\"{bound:?}\"")),
            }
            separator = ',';
        }
        if separator == ',' {
            page.text.push('}');
        }
        page.write(format_args!(" {}\n", Number(value)));
    }
}

/// The value of a label as it stands between quotes.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// A number as both formats write it.
struct Number(f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            n if n == f64::INFINITY => f.write_str("+Inf"),
            n if n == f64::NEG_INFINITY => f.write_str("-Inf"),
            n => write!(f, "{n}"),
        }
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_finite() {
            write!(f, "{:?}", self.0)
        } else {
            write!(f, "{self}")
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use prometheus::{IntCounterVec, Opts};

    fn page(format: Format) -> String {
        let mut page = Page::new(format);
        let mut series = page.family(Kind::Counter, "a_total", "What happened.");
        series.value(&[("topic", "x\"\\\n"), ("b", "y")], 3.0);
        page.gauge("b", "How hot.", f64::NEG_INFINITY);
        let mut times = Times::new(&[1_000_000, 86_400_000_000_000]);
        times.add(2_000_000, 2);
        times.add(3_000_000_000_000_000, 1);
        page.histogram("c_seconds", "How long.", &times);
        let errors = IntCounterVec::new(Opts::new("d_total", "Bad."), &["code"]).unwrap();
        page.collect(&errors);
        errors.with_label_values(&["E"]).inc();
        page.collect(&errors);
        String::from_utf8(page.finish().to_vec()).unwrap()
    }

    #[test]
    fn families_have_their_help_type_and_samples() {
        let expected = "# HELP a_total What happened.\n# TYPE a_total counter\na_total{topic=\"x\\\"\\\\\\n\",b=\"y\"} 3\n\
            # HELP b How hot.\n# TYPE b gauge\nb -Inf\n\
            # HELP c_seconds How long.\n# TYPE c_seconds histogram\nc_seconds_bucket{le=\"0.001\"} 0\n\
            c_seconds_bucket{le=\"86400\"} 2\nc_seconds_bucket{le=\"+Inf\"} 3\nc_seconds_sum 3000000.004\nc_seconds_count 3\n\
            # HELP d_total Bad.\n# TYPE d_total counter\n\
            # HELP d_total Bad.\n# TYPE d_total counter\nd_total{code=\"E\"} 1\n";
        assert_eq!(page(Format::Text), expected);
    }

    #[test]
    fn openmetrics_names_counters_without_total_and_ends_with_eof() {
        let text = page(Format::OpenMetrics);
        assert!(
            text.starts_with("# HELP a What happened.\n# TYPE a counter\na_total{"),
            "{text}"
        );
        assert!(text.contains("c_seconds_bucket{le=\"86400.0\"} 2\n"), "{text}");
        assert!(text.contains("le=\"+Inf\""), "{text}");
        assert!(text.ends_with("\n# EOF\n"), "{text}");
    }
}

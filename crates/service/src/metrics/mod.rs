//! What `/metrics` of every program is made of (extensions spec 3.1).
//!
//! | module | what |
//! |---|---|
//! | `page` | families and samples as text, in both formats. Pure |
//! | `accept` | which format, and whether packed, a request wants. Pure |
//! | `counts` | counters by one label with known values |
//! | `histogram` | counts of times in buckets, added a batch at a time |
//! | `endpoint` | answers requests: those that come together share one rendering |
//! | `http` | requests of the HTTP API by path and code |
//! | `process` | what the system knows of this process |
//!
//! Counters with labels are those of the prometheus crate. Series by topic and channel are written straight from a walk over
//! them, since a registry would keep every name a second time; and histograms are our own, since a batch of equal times
//! has to cost one addition.

mod accept;
mod counts;
mod endpoint;
mod histogram;
mod http;
mod page;
mod process;

pub use accept::Format;
pub use counts::Counts;
pub use endpoint::Endpoint;
pub use histogram::{Histogram, MESSAGE_TIMES, OPERATION_TIMES, REQUEST_TIMES, Times};
pub use http::HttpMetrics;
pub(crate) use http::OTHER;
pub use page::{Kind, Labels, Page, Series};
pub use process::{process, program};

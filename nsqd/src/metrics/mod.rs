//! `/metrics` (extensions spec 3): a walk over topics and channels, and the counters of the node, as a page for Prometheus.
//!
//! | module | what |
//! |---|---|
//! | `board` | topics and channels as rows by label, one moment of each |
//! | `queues` | the families of those rows |
//! | `node` | the families of the node |

mod board;
mod node;
mod queues;

use crate::broker::Broker;
use crate::lifecycle::Lifecycle;
use crate::lookup::Lookup;
use board::Board;
use nsq_service::metrics::{Endpoint, HttpMetrics, Page};
use nsq_service::tls::{ClientTls, ServerTls};
use std::sync::Arc;

/// What the page is made of.
pub struct Metrics {
    /// Topics, channels, clients, counters.
    pub broker: Arc<Broker>,
    /// Phase and drain.
    pub lifecycle: Arc<Lifecycle>,
    /// The nsqlookupds.
    pub lookup: Arc<Lookup>,
    /// Requests of the HTTP API.
    pub http: Arc<HttpMetrics>,
    /// Certificates of the listeners.
    pub tls: Option<Arc<ServerTls>>,
    /// Roots for what this nsqd asks of others.
    pub outgoing: Arc<ClientTls>,
    /// Start in Unix seconds.
    pub start_time: i64,
    /// Answers scrapes.
    pub endpoint: Endpoint,
}

impl Metrics {
    /// Writes the page.
    pub async fn render(&self, mut page: Page) -> Page {
        let board = Board::of(&self.broker);
        node::write(self, &board, &mut page);
        queues::write(&board, &mut page).await;
        page
    }
}

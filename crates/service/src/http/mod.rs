//! The HTTP stack of all daemons: our own accept loop and limits, hyper for the protocol, warp as the filter layer
//! between them, and the reference's routing rules (nsqd spec 6.1, nsqlookupd spec 7.1).
//!
//! ```no_run
//! # async fn run() -> std::io::Result<()> {
//! use std::sync::Arc;
//! use nsq_service::http::{self, Failure, Method, Reply, Request, Route, Router};
//! use nsq_service::{listen::Listener, tasks::Tasks};
//!
//! struct State {
//!     greeting: String,
//! }
//!
//! async fn ping(state: Arc<State>, _: Request) -> Result<Reply, Failure> {
//!     Ok(Reply::text(state.greeting.clone()))
//! }
//!
//! let state = Arc::new(State { greeting: "OK".to_owned() });
//! let router = Router::new(state).route(Route::plain(Method::GET, "/ping", ping));
//! let listener = Listener::bind("127.0.0.1:0").await?;
//! http::serve(listener, Arc::new(router), Tasks::new(), http::Limits::default()).await
//! # }
//! ```

mod body;
mod guard;
pub(crate) mod packing;
mod path;
mod query;
mod reply;
mod request;
mod router;
mod server;

pub use body::{Body, BodyError};
pub use hyper::header;
pub use hyper::{Method, StatusCode};
pub use path::{decode_path, encode_component};
pub use query::Query;
pub use reply::{Failure, Kind, Reply};
pub use request::Request;
pub use router::{Route, Router};
pub use server::{Limits, serve, serve_ops, serve_tls};

#[cfg(test)]
mod tests;

//! What a handler gets.

use hyper::http::Extensions;
use hyper::{HeaderMap, Method};

use super::body::Body;
use super::path::Params;
use super::query::Query;
use super::reply::Failure;
use crate::listen::Peer;

/// One request, after routing.
#[derive(Debug)]
pub struct Request {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) raw_query: String,
    pub(crate) headers: HeaderMap,
    pub(super) peer: Peer,
    pub(super) params: Params,
    pub(super) is_secured: bool,
    pub(super) attached: Extensions,
    /// The body. Only handlers of routes with [`super::Route::reads_body`] find something in it.
    pub body: Body,
}

impl Request {
    /// The method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The path, percent-decoded.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The query as it was sent, without `?`.
    #[must_use]
    pub fn raw_query(&self) -> &str {
        &self.raw_query
    }

    /// Who asks.
    #[must_use]
    pub fn peer(&self) -> Peer {
        self.peer
    }

    /// The connection is TLS.
    #[must_use]
    pub fn is_secured(&self) -> bool {
        self.is_secured
    }

    /// Keeps what a guard found out, one value of each type; see [`super::Router::guarded`].
    pub fn attach<T: Clone + Send + Sync + 'static>(&mut self, value: T) {
        self.attached.insert(value);
    }

    /// What a guard kept.
    #[must_use]
    pub fn attached<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.attached.get()
    }

    /// The first header of this name, if it is visible ASCII.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// What stands for `:name` or `*name` of the route's path; empty if the route has no such parameter.
    #[must_use]
    pub fn param(&self, name: &str) -> &str {
        self.params
            .iter()
            .find(|(own, _)| own == name)
            .map_or("", |(_, value)| value)
    }

    /// The query parameters.
    ///
    /// # Errors
    /// 400 `INVALID_REQUEST`, see [`Query::parse`].
    pub fn query(&self) -> Result<Query, Failure> {
        Query::parse(&self.raw_query)
    }
}

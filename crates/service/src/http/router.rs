//! The table of endpoints and the reference's rules around it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::future::BoxFuture;
use hyper::header::{ALLOW, LOCATION};
use hyper::{Method, StatusCode};
use tokio::time::Instant;

use super::packing::Packing;
use super::path::{Params, Pattern, clean, decode, encode_path};
use super::reply::{Failure, Kind, Reply};
use super::request::Request;
use crate::duration;
use crate::metrics::{HttpMetrics, OTHER};

/// Bytes of a request body that are read and forgotten for endpoints that have no use for one.
const MAX_IGNORED_BODY: u64 = 1 << 20;

type Outcome = Result<Reply, Failure>;
type Handler<S> = Box<dyn Fn(Arc<S>, Request) -> BoxFuture<'static, Outcome> + Send + Sync>;

/// How a request to a route is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    Info,
    Debug,
    Never,
}

/// One endpoint: a method and a canonical path.
pub struct Route<S> {
    method: Method,
    path: &'static str,
    kind: Kind,
    access: Access,
    reads_body: bool,
    is_open: bool,
    has_head: bool,
    handler: Handler<S>,
}

impl<S: Send + Sync + 'static> Route<S> {
    /// An endpoint with V1 answers. `path` may have `:name` segments and end in `*name`.
    pub fn v1<F, R>(method: Method, path: &'static str, handler: F) -> Self
    where
        F: Fn(Arc<S>, Request) -> R + Send + Sync + 'static,
        R: Future<Output = Outcome> + Send + 'static,
    {
        let handler: Handler<S> = Box::new(move |state, request| Box::pin(handler(state, request)));
        Self {
            method,
            path,
            kind: Kind::V1,
            access: Access::Info,
            reads_body: false,
            is_open: false,
            has_head: false,
            handler,
        }
    }

    /// An endpoint with plain answers.
    pub fn plain<F, R>(method: Method, path: &'static str, handler: F) -> Self
    where
        F: Fn(Arc<S>, Request) -> R + Send + Sync + 'static,
        R: Future<Output = Outcome> + Send + 'static,
    {
        Self {
            kind: Kind::Plain,
            ..Self::v1(method, path, handler)
        }
    }

    /// The handler reads the body. Of all other routes the body is read and ignored before the handler runs.
    #[must_use]
    pub fn reads_body(self) -> Self {
        Self {
            reads_body: true,
            ..self
        }
    }

    /// No guard is asked.
    #[must_use]
    pub fn open(self) -> Self {
        Self {
            is_open: true,
            ..self
        }
    }

    /// `HEAD` is answered as `GET` is, without the body.
    #[must_use]
    pub fn with_head(self) -> Self {
        Self {
            has_head: true,
            ..self
        }
    }

    /// Whether a request of this method is for it.
    fn takes(&self, method: &Method) -> bool {
        self.method == *method || (self.has_head && *method == Method::HEAD)
    }

    /// Requests are logged at DEBUG instead of INFO.
    #[must_use]
    pub fn logged_at_debug(self) -> Self {
        Self {
            access: Access::Debug,
            ..self
        }
    }

    /// Requests are not logged.
    #[must_use]
    pub fn not_logged(self) -> Self {
        Self {
            access: Access::Never,
            ..self
        }
    }
}

/// All endpoints of one listener over a shared state.
pub struct Router<S> {
    state: Arc<S>,
    base: String,
    routes: Vec<(Pattern, Route<S>)>,
    closed: Option<Closed>,
    missing: Option<Handler<S>>,
    guard: Option<Guard<S>>,
    measured: Option<Arc<HttpMetrics>>,
    strict: bool,
    packs: bool,
}

/// Lets a request through, or answers it.
type Guard<S> = Box<dyn Fn(Arc<S>, Request) -> BoxFuture<'static, Result<Request, Reply>> + Send + Sync>;

/// The one answer of a router that lets nobody in.
type Closed = Box<dyn Fn() -> Reply + Send + Sync>;

impl<S: Send + Sync + 'static> Router<S> {
    /// A router without endpoints.
    #[must_use]
    pub fn new(state: Arc<S>) -> Self {
        Self {
            state,
            base: String::new(),
            routes: Vec::new(),
            closed: None,
            missing: None,
            guard: None,
            measured: None,
            strict: false,
            packs: false,
        }
    }

    /// Counts every request.
    #[must_use]
    pub fn measured(mut self, metrics: Arc<HttpMetrics>) -> Self {
        self.measured = Some(metrics);
        self
    }

    /// Packs answers for those who accept gzip or deflate.
    #[must_use]
    pub fn packing(mut self) -> Self {
        self.packs = true;
        self
    }

    /// Answers 404 to all that is not exactly a route: no redirect, no OPTIONS, no 405.
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// Puts `base` (such as `/nsq`; empty for none) before the path of every route that is added afterwards.
    #[must_use]
    pub fn base(mut self, base: &str) -> Self {
        base.trim_end_matches('/').clone_into(&mut self.base);
        self
    }

    /// Asks `guard` before the handler of each route that is not [`Route::open`]. What it attaches to the request
    /// is there for the handler.
    #[must_use]
    pub fn guarded<F, R>(mut self, guard: F) -> Self
    where
        F: Fn(Arc<S>, Request) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Request, Reply>> + Send + 'static,
    {
        self.guard = Some(Box::new(move |state, request| Box::pin(guard(state, request))));
        self
    }

    /// Adds an endpoint. Of two that match, the first added answers.
    #[must_use]
    pub fn route(mut self, route: Route<S>) -> Self {
        let path = match (self.base.as_str(), route.path) {
            ("", path) => path.to_owned(),
            // the root below a base is the base itself, without a slash
            (base, "/") => base.to_owned(),
            (base, path) => format!("{base}{path}"),
        };
        let pattern = Pattern::new(path);
        self.routes.push((pattern, route));
        self
    }

    /// Answers every request with `reply`, whatever it asks for.
    #[must_use]
    pub fn closed(mut self, reply: impl Fn() -> Reply + Send + Sync + 'static) -> Self {
        self.closed = Some(Box::new(reply));
        self
    }

    /// Answers what no route has. The guard is asked before.
    #[must_use]
    pub fn missing<F, R>(mut self, handler: F) -> Self
    where
        F: Fn(Arc<S>, Request) -> R + Send + Sync + 'static,
        R: Future<Output = Outcome> + Send + 'static,
    {
        self.missing = Some(Box::new(move |state, request| Box::pin(handler(state, request))));
        self
    }

    /// Answers one request.
    pub(super) async fn call(&self, request: Request) -> Reply {
        let started = Instant::now();
        let packing = Packing::wanted(&request.headers).filter(|_| self.packs);
        let (reply, route) = self.answer(request, started).await;
        let reply = match packing {
            None => reply,
            Some(packing) => reply.packed(packing).await,
        };
        if let Some(metrics) = &self.measured {
            let route = route.map_or(OTHER, |route| route.path);
            metrics.observe(route, reply.code(), started.elapsed());
        }
        reply
    }

    /// With the route that answered, if it was one.
    async fn answer(&self, mut request: Request, started: Instant) -> (Reply, Option<&Route<S>>) {
        if let Some(reply) = &self.closed {
            request.body.discard(MAX_IGNORED_BODY).await;
            let finished = request.body.finished().load(Ordering::Relaxed);
            let reply = if finished { reply() } else { reply().closing() };
            return (reply, None);
        }
        let Some(path) = decode(&request.path, false).map(std::borrow::Cow::into_owned) else {
            let refusal = Reply::text("400 Bad Request").status(StatusCode::BAD_REQUEST);
            return (refusal.closing(), None);
        };
        let line = access_line(&request);
        let (reply, access) = match self.find(&request.method, &path) {
            Found::Route(route, params) => {
                request.path = path;
                request.params = params;
                let reply = self.run(route, request).await;
                log_access(route.access, reply.code(), &line, started);
                return (reply, Some(route));
            }
            Found::Redirect(to) => (redirect(&request, &to), Access::Never),
            Found::Options(allow) => (Reply::empty().header(ALLOW, &allow), Access::Never),
            Found::WrongMethod(allow) => {
                let failure = Failure::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED");
                (
                    failure.into_reply(Kind::V1).marked_v1().header(ALLOW, &allow),
                    Access::Info,
                )
            }
            Found::Nothing => {
                request.path = path;
                (self.nothing(request).await, Access::Info)
            }
        };
        log_access(access, reply.code(), &line, started);
        (reply, None)
    }

    /// What is said where nothing is.
    async fn nothing(&self, request: Request) -> Reply {
        let refuse = |failure: Failure| failure.into_reply(Kind::V1).marked_v1();
        match &self.missing {
            Some(handler) => self.handle(handler, (false, false), refuse, request).await,
            None => refuse(Failure::not_found("NOT_FOUND")),
        }
    }

    async fn run(&self, route: &Route<S>, request: Request) -> Reply {
        let reply = self
            .handle(
                &route.handler,
                (route.reads_body, route.is_open),
                |failure| failure.into_reply(route.kind),
                request,
            )
            .await;
        match route.kind {
            Kind::V1 => reply.marked_v1(),
            Kind::Plain => reply,
        }
    }

    async fn handle(
        &self,
        handler: &Handler<S>,
        (reads_body, is_open): (bool, bool),
        refuse: impl Fn(Failure) -> Reply,
        mut request: Request,
    ) -> Reply {
        if !reads_body {
            request.body.discard(MAX_IGNORED_BODY).await;
        }
        let finished = request.body.finished();
        let admitted = match &self.guard {
            Some(guard) if !is_open => guard(Arc::clone(&self.state), request).await,
            _ => Ok(request),
        };
        let reply = match admitted {
            Err(reply) => reply,
            Ok(request) => {
                let outcome = handler(Arc::clone(&self.state), request).await;
                outcome.unwrap_or_else(refuse)
            }
        };
        if finished.load(Ordering::Relaxed) {
            reply
        } else {
            reply.closing()
        }
    }

    fn find(&self, method: &Method, path: &str) -> Found<'_, S> {
        let of_method = || self.routes.iter().filter(|(_, route)| route.takes(method));
        if let Some((route, params)) =
            of_method().find_map(|(pattern, route)| pattern.matches(path).map(|params| (route, params)))
        {
            return Found::Route(route, params);
        }
        if self.strict {
            return Found::Nothing;
        }
        if path != "/" && path != "*" {
            let cleaned = clean(path);
            if let Some(to) = of_method().find_map(|(pattern, _)| pattern.canonical(&cleaned)) {
                return Found::Redirect(to);
            }
        }
        match (self.allowed(path), *method == Method::OPTIONS) {
            (None, _) => Found::Nothing,
            (Some(allow), true) => Found::Options(allow),
            (Some(allow), false) => Found::WrongMethod(allow),
        }
    }

    /// The methods of a path plus OPTIONS, sorted; none if no route has this path. `*` stands for all paths.
    fn allowed(&self, path: &str) -> Option<String> {
        let mut methods: Vec<&str> = self
            .routes
            .iter()
            .filter(|(pattern, _)| path == "*" || pattern.matches(path).is_some())
            .flat_map(|(_, route)| {
                let head = route.has_head.then_some(Method::HEAD.as_str());
                std::iter::once(route.method.as_str()).chain(head)
            })
            .collect();
        if methods.is_empty() {
            return None;
        }
        methods.push("OPTIONS");
        methods.sort_unstable();
        methods.dedup();
        Some(methods.join(", "))
    }
}

impl<S> fmt::Debug for Router<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let routes = self.routes.iter().map(|(_, route)| (&route.method, route.path));
        f.debug_list().entries(routes).finish()
    }
}

enum Found<'a, S> {
    Route(&'a Route<S>, Params),
    Redirect(String),
    Options(String),
    WrongMethod(String),
    Nothing,
}

fn redirect(request: &Request, to: &str) -> Reply {
    let status = match request.method {
        Method::GET | Method::HEAD => StatusCode::MOVED_PERMANENTLY,
        _ => StatusCode::TEMPORARY_REDIRECT,
    };
    let mut location = encode_path(to);
    if !request.raw_query.is_empty() {
        location.push('?');
        location.push_str(&request.raw_query);
    }
    // the body is not read here; closing is only needed when there is one
    let reply = Reply::empty().status(status).header(LOCATION, &location);
    if request.body.finished().load(Ordering::Relaxed) {
        reply
    } else {
        reply.closing()
    }
}

fn access_line(request: &Request) -> String {
    let mark = if request.raw_query.is_empty() { "" } else { "?" };
    format!(
        "{} {}{mark}{} ({})",
        request.method, request.path, request.raw_query, request.peer
    )
}

fn log_access(access: Access, status: StatusCode, line: &str, started: Instant) {
    let took = || duration::print(i64::try_from(started.elapsed().as_nanos()).unwrap_or(i64::MAX));
    match access {
        Access::Info => tracing::info!("{} {line} {}", status.as_u16(), took()),
        Access::Debug => tracing::debug!("{} {line} {}", status.as_u16(), took()),
        Access::Never => {}
    }
}

//! Sends requests, over connections that stay open.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::header::{
    ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, USER_AGENT,
};
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Uri, body::Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use nsq_service::build_info;
use nsq_service::tls::ClientSettings;
use tokio::time::timeout;

use super::address::Address;

/// As Go's client.
const MAX_REDIRECTS: usize = 10;
/// An answer's body is read and dropped, so that its connection can be used again; a longer one ends its connection.
const MAX_ANSWER: usize = 1 << 20;
/// Connections that nobody uses are closed.
const IDLE: Duration = Duration::from_secs(60);

/// What every request has in common.
pub(super) struct Sender {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    headers: HeaderMap,
    content_type: HeaderValue,
    limit: Duration,
}

/// Limits of a [`Sender`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Of a TCP connect.
    pub(super) connect: Duration,
    /// Of a request with its redirects.
    pub(super) request: Duration,
    /// Requests at once.
    pub(super) at_once: usize,
}

/// Reads a `-header`.
///
/// # Errors
/// It has no name or no value, or characters that headers do not have.
pub(super) fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').unwrap_or((text, ""));
    let (name, value) = (name.trim(), value.trim());
    if name.is_empty() || value.is_empty() {
        return Err("--header value format should be 'Name: value'".to_owned());
    }
    let name =
        HeaderName::try_from(name).map_err(|error| format!("--header {name:?} is no name - {error}"))?;
    // The value may be a secret.
    let value = HeaderValue::try_from(value).map_err(|error| format!("--header {name} - {error}"))?;
    Ok((name, value))
}

impl Sender {
    /// Sends with these headers; requests with a body with this type, unless a header says otherwise.
    ///
    /// # Errors
    /// The authorities that the system trusts cannot be read.
    pub(super) fn new(headers: HeaderMap, content_type: HeaderValue, limits: Limits) -> Result<Self, String> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(limits.connect));
        let tls = ClientSettings::default().load()?;
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(std::sync::Arc::unwrap_or_clone(tls))
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(limits.at_once)
            .build(connector);
        Ok(Self {
            client,
            headers,
            content_type,
            limit: limits.request,
        })
    }

    /// Sends one message.
    ///
    /// # Errors
    /// No answer, or one that is no success: any other than 200 to a GET, or one outside 200 to 299 to a POST.
    pub(super) async fn send(&self, address: &Address, body: &Bytes) -> Result<(), String> {
        let url = address.url(body)?;
        let exchange = self.follow(url, address, body);
        let status = timeout(self.limit, exchange)
            .await
            .map_err(|_| format!("no answer within {:?}", self.limit))??;
        let is_success = match address {
            Address::Post(_) => status.is_success(),
            Address::Get(..) => status == StatusCode::OK,
        };
        if is_success {
            Ok(())
        } else {
            Err(format!("got status code {}", status.as_u16()))
        }
    }

    /// The status of the last answer on the way.
    async fn follow(&self, mut url: Uri, address: &Address, body: &Bytes) -> Result<StatusCode, String> {
        let mut posted = matches!(address, Address::Post(_)).then(|| body.clone());
        for _ in 0..=MAX_REDIRECTS {
            let request = self.request(&url, posted.clone())?;
            let answer = self.client.request(request).await.map_err(|error| told(&error))?;
            let next = redirect(&url, &answer)?;
            let status = answer.status();
            drain(answer).await;
            let Some(next) = next else {
                return Ok(status);
            };
            url = next;
            // These two ask for the same again, the others for what is there.
            if !matches!(
                status,
                StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT
            ) {
                posted = None;
            }
        }
        Err(format!("stopped after {MAX_REDIRECTS} redirects"))
    }

    fn request(&self, url: &Uri, posted: Option<Bytes>) -> Result<Request<Full<Bytes>>, String> {
        let mut request = Request::new(Full::default());
        *request.uri_mut() = url.clone();
        let headers = request.headers_mut();
        let agent = format!("nsq_to_http v{}", build_info::VERSION);
        headers.insert(
            USER_AGENT,
            HeaderValue::try_from(agent).map_err(|error| error.to_string())?,
        );
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        if let Some(body) = posted {
            headers.insert(CONTENT_TYPE, self.content_type.clone());
            headers.insert(CONTENT_LENGTH, body.len().into());
            *request.body_mut() = Full::new(body);
            *request.method_mut() = Method::POST;
        }
        for (name, value) in &self.headers {
            request.headers_mut().insert(name, value.clone());
        }
        Ok(request)
    }
}

/// Where an answer sends its reader, if it does.
fn redirect<B>(from: &Uri, answer: &Response<B>) -> Result<Option<Uri>, String> {
    let is_redirect = matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let Some(to) = answer.headers().get(LOCATION).filter(|_| is_redirect) else {
        return Ok(None);
    };
    let wrong = || {
        format!(
            "got status code {} with a Location that is none",
            answer.status().as_u16()
        )
    };
    let to = to.to_str().map_err(|_| wrong())?;
    let scheme = from.scheme_str().unwrap_or("http");
    let authority = from.authority().map_or("", |authority| authority.as_str());
    let absolute = if to.contains("://") {
        to.to_owned()
    } else if to.starts_with("//") {
        format!("{scheme}:{to}")
    } else if to.starts_with('/') {
        format!("{scheme}://{authority}{to}")
    } else {
        let folder = from.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{to}")
    };
    absolute.parse().map(Some).map_err(|_| wrong())
}

/// Reads what is left of an answer.
async fn drain(answer: Response<Incoming>) {
    let mut body = answer.into_body();
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        read += frame.data_ref().map_or(0, Bytes::len);
        if read > MAX_ANSWER {
            return;
        }
    }
}

/// An error with its reasons.
fn told(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(reason) = source {
        text.push_str(": ");
        text.push_str(&reason.to_string());
        source = reason.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_split_at_its_first_colon() {
        let (name, value) = header(" X-A :  b:c ").unwrap();
        assert_eq!((name.as_str(), value.to_str().unwrap()), ("x-a", "b:c"));
        for wrong in ["X-A", "X-A:", ": b", "X A: b", "X-A: b\nc"] {
            assert!(header(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_location_may_be_relative() {
        let from: Uri = "http://h:1/a/b?c".parse().unwrap();
        for (location, wanted) in [
            ("https://other/x", "https://other/x"),
            ("//other/x", "http://other/x"),
            ("/x?y", "http://h:1/x?y"),
            ("x", "http://h:1/a/x"),
        ] {
            let answer = Response::builder().status(302).header(LOCATION, location);
            let next = redirect(&from, &answer.body(()).unwrap()).unwrap();
            assert_eq!(next.unwrap().to_string(), wanted);
        }
        let plain = Response::builder()
            .status(200)
            .header(LOCATION, "/x")
            .body(())
            .unwrap();
        assert_eq!(redirect(&from, &plain), Ok(None));
    }
}

//! Security headers of pages and assets (console spec 6.5). Nothing inline exists, so nothing inline is allowed.

use nsq_service::http::Reply;
use nsq_service::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
    trusted-types nsqadmin";
const OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Headers of a page, which is always asked for anew.
pub(super) fn page(reply: Reply) -> Reply {
    common(reply).header(CACHE_CONTROL, "no-store")
}

/// Headers of everything that a browser shows or loads.
pub(super) fn common(reply: Reply) -> Reply {
    reply
        .header(CONTENT_SECURITY_POLICY, POLICY)
        .header(X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(REFERRER_POLICY, "same-origin")
        .header(OPENER, "same-origin")
        .header(RESOURCE, "same-origin")
}

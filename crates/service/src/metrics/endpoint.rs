//! Answers scrapes.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;
use tokio::sync::Mutex;

use super::accept::{Format, wants_gzip};
use super::page::Page;
use crate::http::header::{CONTENT_ENCODING, VARY};
use crate::http::packing::Packing;
use crate::http::{Reply, Request};

/// A finished page, and when its rendering began.
#[derive(Clone, Debug)]
struct Rendered {
    began: u64,
    text: Bytes,
}

/// The scrapes of one program. One page is rendered at a time; whoever waits for that takes the next one, if it began after
/// they asked: nobody gets a page that is older than the question.
#[derive(Debug, Default)]
pub struct Endpoint {
    /// Orders questions and renderings.
    sequence: AtomicU64,
    asking: AtomicUsize,
    pages: Mutex<[Option<Rendered>; 2]>,
}

impl Endpoint {
    /// The answer to a request for the page that `render` writes.
    pub async fn answer<F, R>(&self, request: Request, render: F) -> Reply
    where
        F: FnOnce(Page) -> R,
        R: Future<Output = Page>,
    {
        let (format, gzip) = (Format::wanted(&request.headers), wants_gzip(&request.headers));
        // Its body cannot be shared between threads.
        drop(request);
        let text = self.page(format, render).await;
        let reply = |body| Reply::content(format.content_type(), body).header(VARY, "Accept-Encoding");
        if !gzip {
            return reply(text);
        }
        match Packing::Gzip.pack(&text).await {
            Some(packed) => reply(Bytes::from(packed)).header(CONTENT_ENCODING, "gzip"),
            None => reply(text),
        }
    }

    async fn page<F, R>(&self, format: Format, render: F) -> Bytes
    where
        F: FnOnce(Page) -> R,
        R: Future<Output = Page>,
    {
        let asked = self.sequence.fetch_add(1, Relaxed);
        let asking = Asking::begin(&self.asking);
        let mut pages = self.pages.lock().await;
        let [text, open] = &mut *pages;
        let latest = match format {
            Format::Text => text,
            Format::OpenMetrics => open,
        };
        let shared = latest.as_ref().filter(|page| page.began > asked);
        let bytes = if let Some(page) = shared {
            page.text.clone()
        } else {
            let began = self.sequence.fetch_add(1, Relaxed);
            let text = render(Page::new(format)).await.finish();
            *latest = Some(Rendered {
                began,
                text: text.clone(),
            });
            text
        };
        if asking.is_last() {
            // Nobody is left who could share it.
            *pages = [None, None];
        }
        bytes
    }
}

/// One who waits for a page; gone also when the request is given up.
struct Asking<'a>(&'a AtomicUsize);

impl<'a> Asking<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Relaxed);
        Self(count)
    }

    fn is_last(&self) -> bool {
        self.0.load(Relaxed) == 1
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use futures_util::future::join_all;
    use std::sync::atomic::AtomicU32;
    use tokio::sync::Semaphore;

    #[tokio::test]
    async fn those_who_ask_together_share_a_rendering_that_began_after_they_asked() {
        let (endpoint, renderings, gate) = (Endpoint::default(), AtomicU32::new(0), Semaphore::new(0));
        let scrape = |format| {
            let (endpoint, renderings, gate) = (&endpoint, &renderings, &gate);
            endpoint.page(format, move |mut page| async move {
                let n = renderings.fetch_add(1, Relaxed);
                gate.acquire().await.unwrap().forget();
                page.gauge("n", "Which rendering.", n.into());
                page
            })
        };
        let opening = async {
            while renderings.load(Relaxed) == 0 {
                tokio::task::yield_now().await;
            }
            gate.add_permits(10);
        };
        let (pages, ()) = tokio::join!(join_all([Format::Text; 8].map(scrape)), opening);
        // The first one began before the others asked: they cannot have it, but they share the next.
        assert_eq!(renderings.load(Relaxed), 2);
        assert!(
            pages[1..]
                .iter()
                .all(|page| page == &pages[1] && page != &pages[0])
        );
        assert!(endpoint.pages.lock().await.iter().all(Option::is_none));
        scrape(Format::OpenMetrics).await;
        assert_eq!(renderings.load(Relaxed), 3, "nothing is kept for later");
    }
}

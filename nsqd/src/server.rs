//! The TCP listener: every accepted connection becomes a session.

use crate::broker::Broker;
use crate::session::{self, Security};
use nsq_service::listen::{Listener, is_temporary};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// How long no connection is accepted after the system had no room for one.
const PAUSE: Duration = Duration::from_millis(50);

/// Accepts connections until the daemon stops.
///
/// # Errors
/// The listener failed for good.
pub async fn accept(broker: Arc<Broker>, security: Arc<Security>, listener: Listener) -> io::Result<()> {
    let tasks = broker.engine.tasks.clone();
    let mut complained = false;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = tasks.stopping() => return Ok(()),
        };
        match accepted {
            Ok((stream, peer)) => {
                complained = false;
                tasks.spawn(session::serve(broker.clone(), security.clone(), stream, peer));
            }
            Err(e) if is_temporary(&e) => {
                if !std::mem::replace(&mut complained, true) {
                    tracing::warn!("temporary accept error - {e}");
                }
                tokio::time::sleep(PAUSE).await;
            }
            Err(e) => return Err(e),
        }
    }
}

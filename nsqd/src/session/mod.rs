//! One client connection: one task that reads, parses, publishes, takes and writes, in turns.
//!
//! A turn takes what is there: all commands in the read buffer, all messages up to the window, all answers, one write. It
//! never waits to have more to do, so under load batches grow by themselves and without load there is no delay. The one exception
//! is a consumer that holds all it may hold, see [`delivery`].
//!
//! | module | what |
//! |---|---|
//! | [`commands`] | the meaning of a line, pure |
//! | [`negotiate`] | `IDENTIFY`, pure |
//! | [`input`] | the read buffer: lines, bodies, batches |
//! | [`publishing`] | the open publish batch |
//! | [`authorizing`] | whether a command may be carried out, when auth servers decide |
//! | [`answers`] | `FIN`, `REQ`, `TOUCH` and time-outs |
//! | [`delivery`] | taking and encoding messages |
//! | [`output`] | the write buffer |
//! | [`transport`] | TLS and compression, once agreed |

pub mod answers;
mod authorizing;
pub mod commands;
pub mod delivery;
pub mod input;
pub mod negotiate;
pub mod output;
pub mod publishing;
pub mod transport;

use crate::auth::AuthServers;
use crate::block::Run;
use crate::broker::{Broker, Subscription};
use crate::client::{Client, ClientState, Identity};
use crate::counters::PublishError;
use crate::effects::Effects;
use crate::latency::Finished;
use crate::options::TlsRequired;
use authorizing::Authorized;
use delivery::Refill;
use input::Input;
use negotiate::Negotiated;
use nsq_protocol::v2::{FrameType, HEARTBEAT};
use nsq_protocol::{ErrorCode, MessageId};
use nsq_service::listen::Peer;
use nsq_service::tls::ServerTls;
use output::Output;
use publishing::Publishing;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, Sleep};
use transport::{Counted, Transport};

/// Bytes of output from which on a turn writes before it takes more.
const TURN_BYTES: usize = 64 * 1024;
/// Turns in a row without waiting; then others have their turn.
const TURNS_IN_A_ROW: u32 = 16;
/// How long the last frame of a connection may take.
const LAST_WRITE: Duration = Duration::from_secs(1);

/// When a connection without any deadline looks at itself.
const FAR_AWAY: Duration = Duration::from_secs(3600);

/// Why a connection ends.
#[derive(Debug)]
pub enum Stop {
    /// The other side is gone, too slow or silent for too long, or the channel was deleted: nothing is said.
    Silent,
    /// An error frame is the last that is said.
    Error(LastWord),
    /// The stream broke.
    Io(io::Error),
}

/// The error frame that ends a connection.
#[derive(Debug)]
pub struct LastWord {
    code: ErrorCode,
    /// Data of the frame.
    data: Vec<u8>,
    /// Why a publish was refused, if it was one that is answered.
    refused: Option<PublishError>,
}

impl Stop {
    fn error(code: ErrorCode, text: impl AsRef<str>) -> Self {
        Self::raw(code, text.as_ref().as_bytes())
    }

    fn raw(code: ErrorCode, text: &[u8]) -> Self {
        Self::Error(LastWord {
            code,
            data: [code.as_str().as_bytes(), b" ", text].concat(),
            refused: None,
        })
    }

    /// Nothing but the code.
    fn bare(code: ErrorCode) -> Self {
        Self::Error(LastWord {
            code,
            data: code.as_str().into(),
            refused: None,
        })
    }

    /// The answer to a publish that is refused.
    fn refusing(mut self, why: PublishError) -> Self {
        if let Self::Error(word) = &mut self {
            word.refused = Some(why);
        }
        self
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent => f.write_str("closed"),
            Self::Error(word) => f.write_str(&String::from_utf8_lossy(&word.data)),
            Self::Io(e) => write!(f, "{e}"),
        }
    }
}

impl From<io::Error> for Stop {
    fn from(e: io::Error) -> Self {
        Self::Io(e)
    }
}

/// What every session may need beside the broker.
#[derive(Debug, Default)]
pub struct Security {
    /// For clients that ask for TLS.
    pub tls: Option<Arc<ServerTls>>,
    /// They decide who may publish and consume; without them everybody may.
    pub auth: Option<AuthServers>,
}

/// Serves one connection to its end. In a runtime.
pub fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    broker: Arc<Broker>,
    security: Arc<Security>,
    stream: S,
    peer: Peer,
) -> impl Future<Output = ()> {
    let address = match peer {
        Peer::Tcp(address) => address.ip().to_string(),
        Peer::Unix => String::new(),
    };
    let identity = Identity {
        client_id: address.clone(),
        hostname: address,
        ..Identity::default()
    };
    let connected_at = broker.engine.clock.unix_nanos() / 1_000_000_000;
    let client = broker.add_client(|id| Client::new(id, peer.to_string(), connected_at, identity));
    tracing::info!("TCP: new client({peer})");
    let mut session = Session::new(broker, client, security, stream);
    // An async fn would keep its arguments beside what was made of them.
    async move {
        let stop = session.run().await;
        session.end(stop).await;
        session.broker.remove_client(&session.client);
    }
}

/// What the task found when it looked for something to do.
enum Event {
    Nothing,
    Work,
}

struct Session<S> {
    broker: Arc<Broker>,
    client: Arc<Client>,
    security: Arc<Security>,
    /// What the auth servers granted.
    authorized: Option<Box<Authorized>>,
    stream: Transport<Counted<S>>,
    input: Input,
    output: Output,
    negotiated: Negotiated,
    publishing: Publishing,
    /// Messages to be finished in this turn, in order.
    finished: Vec<MessageId>,
    /// Scratch of finishing them.
    done: Vec<Finished>,
    subscription: Option<Subscription>,
    effects: Effects,
    /// Scratch of a take.
    runs: Vec<Run>,
    refill: Refill,
    random: u64,
    /// Whether the last wake has not been used for a take yet.
    woken: bool,
    times: Times,
    timer: Pin<Box<Sleep>>,
}

/// The deadlines of a connection, in monotonic ns.
struct Times {
    /// When the connection began to wait for the line that it waits for.
    line_since: u64,
    heartbeat_at: Option<u64>,
    /// When the output, which is not empty, last made progress.
    stalled_since: Option<u64>,
    /// When the timer rings.
    armed_at: u64,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    fn new(broker: Arc<Broker>, client: Arc<Client>, security: Arc<Security>, stream: S) -> Self {
        let now = broker.engine.timers.now();
        let negotiated = Negotiated::new(&broker.options);
        let counters = broker.engine.counters.clone();
        counters.connections.fetch_add(1, Relaxed);
        Self {
            random: (broker.engine.clock.unix_nanos().cast_unsigned() ^ (client.id << 32)) | 1,
            broker,
            client,
            security,
            authorized: None,
            stream: Transport::new(Counted::new(stream, counters)),
            input: Input::default(),
            output: Output::default(),
            negotiated,
            publishing: Publishing::default(),
            finished: Vec::new(),
            done: Vec::new(),
            subscription: None,
            effects: Effects::default(),
            runs: Vec::new(),
            refill: Refill::default(),
            woken: false,
            times: Times {
                line_since: now,
                heartbeat_at: None,
                stalled_since: None,
                armed_at: u64::MAX,
            },
            timer: Box::pin(tokio::time::sleep(FAR_AWAY)),
        }
    }

    async fn run(&mut self) -> Stop {
        match self.turns().await {
            Ok(()) => Stop::Silent,
            Err(stop) => stop,
        }
    }

    async fn turns(&mut self) -> Result<(), Stop> {
        let mut in_a_row = 0;
        loop {
            if self.client.is_closed() {
                return Ok(());
            }
            self.join_epoch();
            let more_input = self.read_commands().await?;
            let more_output = self.deliver();
            self.pass_on_unused_wake();
            self.settle().await;
            self.send().await?;
            if self.input.at_end() && !more_input {
                return Err(self.unread());
            }
            let may_go_on = (more_input || more_output) && self.output.pending() == 0;
            if may_go_on {
                in_a_row += 1;
                if in_a_row % TURNS_IN_A_ROW == 0 {
                    tokio::task::yield_now().await;
                }
            } else {
                in_a_row = 0;
            }
            self.wait(!may_go_on).await?;
            self.check_deadlines()?;
        }
    }

    /// Carries out what this turn left to do.
    async fn settle(&mut self) {
        if let Err(e) = self.broker.engine.settle(&mut self.effects).await {
            // What could not be put back is counted nowhere any more: the log is the only place to say so.
            tracing::error!(
                "CLIENT({}): failed to put a message back - {e}",
                self.client.remote_address
            );
        }
    }

    /// Sends everything, which may take as long as a write may.
    async fn send_all(&mut self) -> Result<(), Stop> {
        let (output, stream) = (&mut self.output, &mut self.stream);
        let all = poll_fn(|cx| output.poll_send(stream, cx, &mut false));
        let all = unless_closed(&self.client, &mut self.woken, all);
        match self.negotiated.deadline_base {
            None => all.await??,
            Some(limit) => tokio::time::timeout(limit, all)
                .await
                .map_err(|_| Stop::Silent)???,
        }
        self.times.stalled_since = None;
        Ok(())
    }

    /// Sends what there is without waiting for the other side.
    async fn send(&mut self) -> Result<(), Stop> {
        if self.output.pending() == 0 {
            return Ok(());
        }
        let mut progress = false;
        let (output, stream) = (&mut self.output, &mut self.stream);
        let sent = poll_fn(|cx| Poll::Ready(output.poll_send(stream, cx, &mut progress))).await;
        self.note_sent(sent, progress)
    }

    fn note_sent(&mut self, sent: Poll<io::Result<()>>, progress: bool) -> Result<(), Stop> {
        match sent {
            Poll::Ready(Ok(())) => self.times.stalled_since = None,
            Poll::Ready(Err(e)) => return Err(e.into()),
            Poll::Pending if progress || self.times.stalled_since.is_none() => {
                self.times.stalled_since = Some(self.now());
            }
            Poll::Pending => {}
        }
        Ok(())
    }

    /// Only `IDENTIFY` may come: TLS is required, and this stream has none.
    fn tls_first(&self) -> bool {
        self.broker.options.tls_required != TlsRequired::No && !self.stream.is_tls()
    }

    fn now(&self) -> u64 {
        self.broker.engine.timers.now()
    }

    /// Waits for input, room for output, a wake or the next deadline; or only looks, when there is more to do anyway.
    async fn wait(&mut self, block: bool) -> Result<Event, Stop> {
        if block {
            self.arm_timer();
        }
        let mut progress = false;
        let Self {
            input,
            output,
            stream,
            client,
            timer,
            woken,
            publishing,
            ..
        } = self;
        let (event, sent) = poll_fn(|cx| {
            let mut event = Event::Nothing;
            if client.poll_woken(cx).is_ready() {
                *woken = true;
                event = Event::Work;
            }
            let sent = output.poll_send(stream, cx, &mut progress);
            if sent.is_pending() && progress || matches!(sent, Poll::Ready(Err(_))) {
                event = Event::Work;
            }
            // A client that does not take its answers does not get more commands read.
            if output.pending() < TURN_BYTES {
                match input.poll_read(stream, publishing.builder(), cx) {
                    Poll::Ready(Ok(())) => event = Event::Work,
                    Poll::Ready(Err(e)) => return Poll::Ready((Err(e), sent)),
                    Poll::Pending => {}
                }
            }
            if block && timer.as_mut().poll(cx).is_ready() {
                event = Event::Work;
            }
            if block && matches!(event, Event::Nothing) && (sent.is_pending() || !progress) {
                return Poll::Pending;
            }
            Poll::Ready((Ok(event), sent))
        })
        .await;
        self.note_sent(sent, progress)?;
        Ok(event?)
    }

    fn arm_timer(&mut self) {
        let now = self.now();
        // Without a deadline it still has to be moved: a timer that has rung would ring at every look.
        let due = self.next_deadline().unwrap_or_else(|| after(now, FAR_AWAY));
        // A timer that rings too early only looks again; it is moved back when it rings, not at every command.
        if due < self.times.armed_at || self.times.armed_at <= now {
            self.times.armed_at = due;
            self.timer
                .as_mut()
                .reset(Instant::now() + Duration::from_nanos(due.saturating_sub(now)));
        }
    }

    fn next_deadline(&self) -> Option<u64> {
        let in_flight = self
            .subscription
            .as_ref()
            .and_then(|_| self.client.in_flight.lock().next_deadline());
        [
            self.times.heartbeat_at,
            self.read_deadline(),
            self.write_deadline(),
            self.refill.due(),
            in_flight,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn read_deadline(&self) -> Option<u64> {
        let limit = if self.input.before_magic() {
            Some(self.broker.options.magic_timeout).filter(|d| !d.is_zero())
        } else {
            self.negotiated.deadline_base.map(|d| d * 2)
        };
        limit.map(|d| after(self.times.line_since, d))
    }

    fn write_deadline(&self) -> Option<u64> {
        let base = self.negotiated.deadline_base?;
        self.times.stalled_since.map(|since| after(since, base))
    }

    fn check_deadlines(&mut self) -> Result<(), Stop> {
        let now = self.now();
        if self.write_deadline().is_some_and(|at| at <= now) {
            return Err(Stop::Silent);
        }
        if self.read_deadline().is_some_and(|at| at <= now) {
            return Err(self.unread());
        }
        if self.times.heartbeat_at.is_some_and(|at| at <= now) {
            self.output.release();
            self.output.frame(FrameType::Response, HEARTBEAT);
            self.times.heartbeat_at = self.negotiated.heartbeat.map(|d| after(now, d));
            self.input.release();
            self.publishing.release();
            self.stream.release();
        }
        self.time_out_messages(now);
        Ok(())
    }

    /// Heartbeats begin, or begin anew, now.
    fn start_heartbeats(&mut self) {
        let now = self.now();
        self.times.heartbeat_at = self.negotiated.heartbeat.map(|d| after(now, d));
        self.times.line_since = now;
    }

    /// Says the last word, gives back what the connection holds, and closes it.
    async fn end(&mut self, stop: Stop) {
        if let Stop::Error(word) = &stop {
            tracing::error!("[{}] - {stop}", self.client.remote_address);
            self.output.frame(FrameType::Error, &word.data);
            let counters = &self.broker.engine.counters;
            counters.protocol_errors.add(word.code as usize);
            if let Some(why) = word.refused {
                counters.publish_errors.add(why as usize);
            }
        }
        // A turn that broke off may have put messages back already.
        self.settle().await;
        if let Some(subscription) = self.subscription.take() {
            self.client.set_state(ClientState::Closing);
            self.client.ready_count.store(0, Relaxed);
            self.broker.unsubscribe(&self.client, &subscription).await;
        }
        if !matches!(stop, Stop::Io(_)) {
            let (output, stream) = (&mut self.output, &mut self.stream);
            let last = async {
                poll_fn(|cx| output.poll_send(stream, cx, &mut false)).await?;
                stream.shutdown().await
            };
            // The other side may be gone or not listen: either way this is the end.
            let _ = tokio::time::timeout(LAST_WRITE, pin!(last)).await;
        }
        tracing::info!("PROTOCOL(V2): [{}] exiting ioloop", self.client.remote_address);
    }
}

fn after(since: u64, d: Duration) -> u64 {
    since.saturating_add(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX))
}
/// What `work` yields, unless the connection is to end before. A wake meanwhile is left in `woken`.
async fn unless_closed<T>(
    client: &Client,
    woken: &mut bool,
    work: impl Future<Output = T>,
) -> Result<T, Stop> {
    let mut work = pin!(work);
    poll_fn(|cx| {
        while client.poll_woken(cx).is_ready() {
            *woken = true;
        }
        if client.is_closed() {
            return Poll::Ready(Err(Stop::Silent));
        }
        work.as_mut().poll(cx).map(Ok)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::{Security, Session, serve};
    use crate::broker::Broker;
    use nsq_service::listen::Peer;
    use std::sync::Arc;
    use tokio::net::TcpStream;

    /// What is needed rarely (handshakes, questions to auth servers) has a box of its own while it lasts.
    #[test]
    fn a_clear_connection_pays_little_for_what_others_agreed() {
        fn size<F>(_: fn(Arc<Broker>, Arc<Security>, TcpStream, Peer) -> F) -> usize {
            size_of::<F>()
        }
        assert!(size_of::<Session<TcpStream>>() <= 768);
        let task = size(serve::<TcpStream>);
        assert!(task <= 1792, "{task} bytes for the task of a connection");
    }
}

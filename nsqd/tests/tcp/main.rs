//! The TCP protocol of the nsqd program, byte by byte: one test per case of the specification, named after it.
//! With default options where a case names none, which is case EX-001 of the extensions: what is added changes nothing unasked.
//!
//! They are one program, so that the tests that wait run beside those that work.

mod a_minute;
mod announced;
mod answers;
mod auth;
mod buffering;
mod channels;
mod close;
mod dpub;
mod framing;
mod heartbeats;
mod identify;
mod lifecycle;
mod mpub;
mod names;
mod publish;
mod random_bytes;
mod ready;
mod subscribe;

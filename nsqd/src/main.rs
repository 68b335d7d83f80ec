//! The program; what it does is in `nsqd::program`.

/// The C library of static programs has one lock for all threads and asks the kernel for each batch of messages.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    nsqd::program::main(std::env::args().skip(1))
}

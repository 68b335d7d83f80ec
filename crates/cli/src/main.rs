//! The program; what it does is in the library.

/// The C library of static programs has one lock for all threads and asks the kernel for each batch of messages.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    nsq_cli::main()
}

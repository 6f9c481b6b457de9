//! The `dragoman` binary: hands over to the command line and nothing else.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    dragoman::cli::main()
}

//! The command line: one subcommand, one line in [`Command`]. Every flag has an environment twin `NSQ_OPERATOR_<FLAG>`; the
//! flag wins. Source: operator spec 8.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program talks to people here"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "manifests and CRD files are read and written here, whole and small"
)]

use std::ffi::OsString;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use crate::api::{Kind, parse_manifest};
use crate::generated::{File, differing};
use crate::install::{self, Install};
use crate::kubeworld::{self, Identity};
use crate::localworld::{self, Surroundings};
use crate::render::{DEFAULT_IMAGE, Format, RenderOptions, render};
use crate::{charts, check, crd};

/// Exit code of a runtime failure.
const FAILED: u8 = 1;
/// Exit code of an invalid manifest.
const INVALID: u8 = 3;
/// Largest manifest.
const MAX_MANIFEST: u64 = 4 << 20;

#[derive(Debug, Parser)]
#[command(name = "nsq-operator", version = VERSION, about = "Runs NSQ clusters from NsqCluster manifests")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("NSQ_GIT_COMMIT"), ")");

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Run the clusters of a Kubernetes API server
    #[command(after_help = "Example:\n  nsq-operator run --leader-elect=false --log-format text")]
    Run(kubeworld::Options),
    /// Run the cluster of a manifest as processes on this machine
    #[command(after_help = "Example:\n  nsq-operator local -f examples/quickstart.yaml")]
    Local(localworld::Options),
    /// Send messages through a cluster and back
    #[command(after_help = "Example:\n  nsq-operator check --lookupd-http-address 127.0.0.1:4161")]
    Check(check::Options),
    /// Print the child objects of every NsqCluster of a manifest
    #[command(after_help = "Example:\n  nsq-operator render -f cluster.yaml --namespace mq")]
    Render(RenderArgs),
    /// Print the custom resource definitions, write them to a folder, or compare them with one
    #[command(after_help = "Example:\n  nsq-operator crd --dir crds")]
    Crd(CrdArgs),
    /// Print the manifests that install this operator in a Kubernetes cluster, without the definitions
    #[command(
        after_help = "Example:\n  nsq-operator install --namespace nsq-system | kubectl apply --server-side -f -"
    )]
    Install(InstallArgs),
    /// Write what the charts of this repository take from the types, or compare it: cargo xtask codegen
    #[command(hide = true)]
    Charts(ChartsArgs),
    #[command(name = localworld::HELPER, hide = true)]
    RunChild {
        parent: u32,
        name: String,
        program: PathBuf,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
}

#[derive(Debug, clap::Args)]
struct RenderArgs {
    /// Manifest; - is standard input
    #[arg(short = 'f', long = "file", env = "NSQ_OPERATOR_FILE", value_name = "FILE")]
    file: PathBuf,
    /// Namespace of clusters that name none
    #[arg(long, env = "NSQ_OPERATOR_NAMESPACE", default_value = "default")]
    namespace: String,
    /// Namespace of the operator, allowed in network policies; empty leaves that rule out
    #[arg(long, env = "NSQ_OPERATOR_OPERATOR_NAMESPACE", default_value = "nsq-system")]
    operator_namespace: String,
    /// Image of clusters that name none
    #[arg(long, env = "NSQ_OPERATOR_DEFAULT_IMAGE", default_value = DEFAULT_IMAGE)]
    default_image: String,
    /// Optional APIs of the Kubernetes cluster: podmonitor, httproute
    #[arg(long, env = "NSQ_OPERATOR_API", value_name = "LIST", default_value = "")]
    api: String,
    /// Form of the output: yaml or json
    #[arg(long, env = "NSQ_OPERATOR_FORMAT", default_value = "yaml")]
    format: Format,
}

#[derive(Debug, clap::Args)]
struct CrdArgs {
    /// Only this kind
    #[arg(long, env = "NSQ_OPERATOR_KIND", value_parser = parse_kind)]
    kind: Option<Kind>,
    /// Write one file each into this folder
    #[arg(long, env = "NSQ_OPERATOR_DIR", value_name = "DIR", conflicts_with = "check")]
    dir: Option<PathBuf>,
    /// Compare with the files of this folder; exit 1 names those that differ
    #[arg(long, env = "NSQ_OPERATOR_CHECK", value_name = "DIR")]
    check: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct ChartsArgs {
    /// The folder with the charts
    folder: PathBuf,
    /// Compare only; exit 1 names the files that differ
    #[arg(long)]
    check: bool,
}

#[derive(Debug, clap::Args)]
struct InstallArgs {
    /// Namespace of the operator
    #[arg(long, env = "NSQ_OPERATOR_NAMESPACE", default_value = "nsq-system")]
    namespace: String,
    /// Image of the operator
    #[arg(long, env = "NSQ_OPERATOR_IMAGE", default_value = OPERATOR_IMAGE)]
    image: String,
    /// Namespaces to watch, separated by commas; empty is all of them
    #[arg(
        long,
        env = "NSQ_OPERATOR_WATCH_NAMESPACES",
        value_name = "LIST",
        default_value = "",
        hide_default_value = true
    )]
    watch_namespaces: String,
}

/// The image of this release.
const OPERATOR_IMAGE: &str = concat!("nsq-rs/nsq-operator:", env!("CARGO_PKG_VERSION"));

fn parse_kind(text: &str) -> Result<Kind, String> {
    let known = || {
        Kind::ALL
            .iter()
            .map(|kind| kind.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    Kind::parse(text).ok_or_else(|| format!("use one of {}", known()))
}

/// Runs the program with the arguments of the process. Usage errors end it with exit code 2.
#[must_use]
pub fn main() -> ExitCode {
    let code = match Args::parse().command {
        Command::Run(options) => operate(&options),
        Command::Local(options) => local(&options),
        Command::Check(options) => round_trip(&options),
        Command::Render(args) => objects(&args),
        Command::Crd(args) => definitions(&args),
        Command::Install(args) => manifests(&args),
        Command::Charts(args) if args.check => compare(&charts::files(), &args.folder, "charts"),
        Command::Charts(args) => write(&charts::files(), &args.folder),
        Command::RunChild {
            parent,
            name,
            program,
            args,
        } => {
            let error = localworld::become_child(parent, &name, &program, &args);
            eprintln!("cannot run {}: {error}", program.display());
            FAILED
        }
    };
    ExitCode::from(code)
}

/// One thread: the children belong to the thread that starts them, and a cluster at rest needs no second one.
fn runtime() -> Result<tokio::runtime::Runtime, u8> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            eprintln!("error: {error}");
            FAILED
        })
}

fn operate(options: &kubeworld::Options) -> u8 {
    let identity = Identity {
        host: std::env::var("POD_NAME")
            .or_else(|_| std::env::var("HOSTNAME"))
            .unwrap_or_default(),
    };
    match runtime().map(|runtime| runtime.block_on(kubeworld::run(options, &identity))) {
        Ok(Ok(code)) | Err(code) => code,
        Ok(Err(error)) => {
            eprintln!("error: {error}");
            FAILED
        }
    }
}

fn local(options: &localworld::Options) -> u8 {
    let surroundings = Surroundings {
        own: std::env::current_exe().ok(),
        path: std::env::var_os("PATH"),
        ..Surroundings::default()
    };
    let ended = runtime().map(|runtime| runtime.block_on(localworld::run(options, &surroundings)));
    match ended {
        Ok(Ok(code)) | Err(code) => code,
        Ok(Err(error)) => {
            eprintln!("{error}");
            error.code()
        }
    }
}

fn round_trip(options: &check::Options) -> u8 {
    // sets the topic of this check apart from that of another one on this machine or at another time
    let clock = nsq_service::clock::SystemClock::new();
    let nanos = nsq_service::clock::Clock::unix_nanos(&clock);
    let tag = format!("{}-{nanos:x}", std::process::id());
    match runtime().map(|runtime| runtime.block_on(check::run(options, &tag))) {
        Err(code) => code,
        Ok(Err(error)) => {
            eprintln!("error: {error}");
            FAILED
        }
        Ok(Ok(report)) => {
            print!("{report}");
            u8::from(!report.is_ok())
        }
    }
}

fn objects(args: &RenderArgs) -> u8 {
    let name = args.file.display().to_string();
    let text = match read(&args.file) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("error: cannot read {name}: {error}");
            return FAILED;
        }
    };
    let apis = match args.api.parse() {
        Ok(apis) => apis,
        Err(error) => {
            eprintln!("error: --api: {error}");
            return 2;
        }
    };
    let manifest = match parse_manifest(&name, &text) {
        Ok(manifest) => manifest,
        Err(errors) => {
            for error in errors {
                eprintln!("error: {error}");
            }
            return INVALID;
        }
    };
    let options = RenderOptions {
        namespace: args.namespace.clone(),
        operator_namespace: args.operator_namespace.clone(),
        default_image: args.default_image.clone(),
        apis,
        format: args.format,
    };
    match render(&manifest, &options) {
        Ok(text) => {
            print!("{text}");
            0
        }
        Err(error) => {
            eprintln!("error: {name}: {error}");
            INVALID
        }
    }
}

fn read(file: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin()
            .take(MAX_MANIFEST + 1)
            .read_to_string(&mut text)?;
    } else {
        std::fs::File::open(file)?
            .take(MAX_MANIFEST + 1)
            .read_to_string(&mut text)?;
    }
    if text.len() as u64 > MAX_MANIFEST {
        return Err(std::io::Error::other(format!("longer than {MAX_MANIFEST} bytes")));
    }
    Ok(text)
}

fn manifests(args: &InstallArgs) -> u8 {
    let names = args.watch_namespaces.split(',').map(str::trim);
    let install = Install {
        namespace: args.namespace.clone(),
        image: args.image.clone(),
        watch_namespaces: names.filter(|name| !name.is_empty()).map(str::to_owned).collect(),
    };
    print!("{}", install::manifests(&install));
    0
}

fn definitions(args: &CrdArgs) -> u8 {
    let files = match args.kind {
        Some(kind) => vec![crd::render(kind)],
        None => crd::render_all(),
    };
    match (&args.check, &args.dir) {
        (Some(folder), _) => compare(&files, folder, "crd --dir"),
        (None, Some(folder)) => write(&files, folder),
        (None, None) => {
            print!("{}", crd::stream(&files));
            0
        }
    }
}

/// Names the files of a folder that differ, and the subcommand that writes them.
fn compare(files: &[File], folder: &Path, subcommand: &str) -> u8 {
    let differing = differing(files, |path| std::fs::read_to_string(folder.join(path)).ok());
    let shown = folder.display();
    for path in &differing {
        eprintln!("{shown}/{path} differs; run: nsq-operator {subcommand} {shown}");
    }
    u8::from(!differing.is_empty())
}

fn write(files: &[File], folder: &Path) -> u8 {
    let written = files.iter().try_for_each(|file| {
        let path = folder.join(&file.path);
        path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        std::fs::write(path, &file.text)
    });
    match written {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("error: cannot write {}: {error}", folder.display());
            FAILED
        }
    }
}

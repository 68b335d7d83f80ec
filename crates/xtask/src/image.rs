//! Images without a container engine: OCI archives of static programs, from an empty base. The same programs give the same bytes.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::process::{self, Outcome, answers, cargo, command, output, root, target_dir};

/// Who programs run as, where nothing else is said.
const USER: &str = "65532:65532";
/// Where programs are.
const FOLDER: &str = "usr/bin";

/// What is in an image.
pub(crate) struct Image<'a> {
    /// Its name with a tag other than latest, which Kubernetes would try to pull.
    pub(crate) name: &'a str,
    /// One line about it.
    pub(crate) description: &'a str,
    /// Static programs; the first is what runs when nothing is said.
    pub(crate) programs: &'a [PathBuf],
    /// Further names of the first program, which it is called by; the first of them is what runs when nothing is said.
    pub(crate) names: &'a [&'a str],
    /// How hard its layer is packed.
    pub(crate) compression: Compression,
}

impl Image<'_> {
    /// Writes it as an archive that container engines load.
    ///
    /// # Errors
    /// A program is not there, or the archive cannot be written.
    pub(crate) fn write(&self, archive: &Path) -> Outcome {
        self.try_write(archive)
            .map_err(|e| format!("write {}: {e}", archive.display()))
    }

    fn try_write(&self, archive: &Path) -> std::io::Result<()> {
        let mut plain = Digested::new(GzBuilder::new().write(Vec::new(), self.compression));
        self.layer(&mut plain)?;
        let (packed, diff) = plain.finish();
        let layer = Blob::of("application/vnd.oci.image.layer.v1.tar+gzip", packed.finish()?);
        let config = Blob::of(
            "application/vnd.oci.image.config.v1+json",
            self.config(&diff).to_string().into_bytes(),
        );
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": config.descriptor(),
            "layers": [layer.descriptor()],
            "annotations": self.labels(),
        });
        let manifest = Blob::of(
            "application/vnd.oci.image.manifest.v1+json",
            manifest.to_string().into_bytes(),
        );
        let mut entry = manifest.descriptor();
        let tag = self.name.rsplit(':').next().unwrap_or_default();
        entry["annotations"] = json!({
            "io.containerd.image.name": full_name(self.name),
            "org.opencontainers.image.ref.name": tag,
        });
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [entry],
        });
        if let Some(folder) = archive.parent() {
            std::fs::create_dir_all(folder)?;
        }
        // Whoever looks at it meanwhile sees the one before.
        let partly = archive.with_extension("new");
        let mut tar = tar::Builder::new(File::create(&partly)?);
        add(
            &mut tar,
            "oci-layout",
            0o644,
            br#"{"imageLayoutVersion":"1.0.0"}"#,
        )?;
        add(&mut tar, "index.json", 0o644, index.to_string().as_bytes())?;
        for blob in [&config, &layer, &manifest] {
            add(
                &mut tar,
                &format!("blobs/sha256/{}", blob.digest),
                0o644,
                &blob.bytes,
            )?;
        }
        tar.into_inner()?.sync_all()?;
        std::fs::rename(partly, archive)
    }

    /// The file system of the image.
    fn layer(&self, out: impl Write) -> std::io::Result<()> {
        let mut tar = tar::Builder::new(out);
        let passwd = "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n";
        for folder in ["etc", "etc/ssl", "etc/ssl/certs", "usr", FOLDER] {
            add_folder(&mut tar, folder, 0o755)?;
        }
        add_folder(&mut tar, "tmp", 0o1777)?;
        add(&mut tar, "etc/passwd", 0o644, passwd.as_bytes())?;
        add(&mut tar, "etc/group", 0o644, b"root:x:0:\nnonroot:x:65532:\n")?;
        add(
            &mut tar,
            "etc/ssl/certs/ca-certificates.crt",
            0o644,
            roots().as_bytes(),
        )?;
        for program in self.programs {
            let mut bytes = Vec::new();
            File::open(program)?.read_to_end(&mut bytes)?;
            add(&mut tar, &inside(program), 0o755, &bytes)?;
        }
        let target = self.programs.first().and_then(|program| program.file_name());
        for name in self.names {
            let mut header = header(0o777, tar::EntryType::Symlink);
            header.set_size(0);
            tar.append_link(
                &mut header,
                format!("{FOLDER}/{name}"),
                target.unwrap_or_default(),
            )?;
        }
        tar.into_inner().map(drop)
    }

    fn config(&self, diff: &str) -> Value {
        let first = self.programs.first().map(|program| inside(program));
        let named = self.names.first().map(|name| format!("{FOLDER}/{name}"));
        let entry = named.or(first).map(|path| format!("/{path}"));
        json!({
            "architecture": architecture(),
            "os": "linux",
            "config": {
                "User": USER,
                "Env": [format!("PATH=/{FOLDER}"), "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"],
                "Entrypoint": [entry],
                "WorkingDir": "/",
                "Labels": self.labels(),
            },
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{diff}")]},
        })
    }

    fn labels(&self) -> Value {
        json!({
            "org.opencontainers.image.title": self.name.split(':').next().unwrap_or_default(),
            "org.opencontainers.image.description": self.description,
            "org.opencontainers.image.version": env!("CARGO_PKG_VERSION"),
            "org.opencontainers.image.licenses": env!("CARGO_PKG_LICENSE"),
        })
    }
}

/// Bytes that are stored under their digest.
struct Blob {
    media_type: &'static str,
    digest: String,
    bytes: Vec<u8>,
}

impl Blob {
    fn of(media_type: &'static str, bytes: Vec<u8>) -> Self {
        Self {
            media_type,
            digest: hex(&Sha256::digest(&bytes)),
            bytes,
        }
    }

    fn descriptor(&self) -> Value {
        json!({
            "mediaType": self.media_type,
            "digest": format!("sha256:{}", self.digest),
            "size": self.bytes.len(),
        })
    }
}

/// Counts the digest of what goes through it.
struct Digested<W> {
    inner: W,
    digest: Sha256,
}

impl<W> Digested<W> {
    fn new(inner: W) -> Self {
        Self {
            inner,
            digest: Sha256::new(),
        }
    }

    fn finish(self) -> (W, String) {
        (self.inner, hex(&self.digest.finalize()))
    }
}

impl<W: Write> Write for Digested<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.digest.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A file that belongs to root and has no time, so that nothing but its content counts.
fn add(tar: &mut tar::Builder<impl Write>, path: &str, mode: u32, bytes: &[u8]) -> std::io::Result<()> {
    let mut header = header(mode, tar::EntryType::Regular);
    header.set_size(bytes.len() as u64);
    tar.append_data(&mut header, path, bytes)
}

fn add_folder(tar: &mut tar::Builder<impl Write>, path: &str, mode: u32) -> std::io::Result<()> {
    let mut header = header(mode, tar::EntryType::Directory);
    header.set_size(0);
    tar.append_data(&mut header, format!("{path}/"), std::io::empty())
}

fn header(mode: u32, kind: tar::EntryType) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

/// Where a program is in an image.
fn inside(program: &Path) -> String {
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    format!("{FOLDER}/{name}")
}

/// The certificates that browsers trust, of the version that Cargo.lock names: those of the machine that builds may be others.
fn roots() -> String {
    let certificates: Vec<pem::Pem> = webpki_root_certs::TLS_SERVER_ROOT_CERTS
        .iter()
        .map(|certificate| pem::Pem::new("CERTIFICATE", certificate.as_ref()))
        .collect();
    let unix = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_many_config(&certificates, unix)
}

/// `nsq-rs/nsq:1` stands for `docker.io/nsq-rs/nsq:1`, as everywhere.
fn full_name(name: &str) -> String {
    let (first, rest) = name.split_once('/').unwrap_or(("library", name));
    let is_host = first.contains(['.', ':']) || first == "localhost";
    if is_host {
        name.to_owned()
    } else {
        format!("docker.io/{first}/{rest}")
    }
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// How programs of an image are built.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// As tests have them: soon there.
    Dev,
    /// As users have them.
    Release,
}

/// Builds static programs of these packages, and gives their folder.
///
/// # Errors
/// The target cannot be installed, or a build failed.
pub(crate) fn programs(packages: &[&str], profile: Profile) -> Result<PathBuf, String> {
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    if answers("rustup", "--version") {
        process::run(command("rustup").args(["target", "add", &target]))?;
    }
    if !answers("musl-gcc", "--version") {
        process::run(command("apt-get").args(["install", "-y", "-q", "musl-tools"]))?;
    }
    let mut build = cargo();
    build.args(["build", "--locked", "--target", &target]);
    for package in packages {
        build.args(["--package", package]);
    }
    let folder = target_dir().join(&target);
    if profile == Profile::Dev {
        process::run(&mut build)?;
        return Ok(folder.join("debug"));
    }
    // Where a clone lies, and who built it, must not be seen in a program.
    let home =
        std::env::var("CARGO_HOME").or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")));
    let mut flags = format!("-C strip=symbols --remap-path-prefix={}=/nsq", root().display());
    if let Ok(home) = home {
        flags.push_str(&format!(" --remap-path-prefix={home}=/cargo"));
    }
    build.arg("--release");
    build.env("RUSTFLAGS", flags);
    process::run(&mut build)?;
    Ok(folder.join("release"))
}

/// Programs in the image of the daemons.
pub(crate) const DAEMONS: [&str; 3] = ["nsqd", "nsqlookupd", "nsqadmin"];
/// The one file that is every program, its package, and its names in the image; nsqd is what runs when nothing is said.
const WHOLE: &str = "nsq";
const WHOLE_PACKAGE: &str = "nsq-cli";
const NAMES: [&str; 10] = [
    "nsqd",
    "nsqlookupd",
    "nsqadmin",
    "nsq-operator",
    "to_nsq",
    "nsq_tail",
    "nsq_stat",
    "nsq_to_file",
    "nsq_to_http",
    "nsq_to_nsq",
];
/// The program in the image of the operator.
pub(crate) const OPERATOR: [&str; 1] = ["nsq-operator"];

/// An archive is at most this large, in MiB.
const LARGEST: f64 = 20.0;

/// Builds the images of this release with a list of what is in each, and prints what they measure.
///
/// # Errors
/// A build failed, a file cannot be written, or an archive is too large.
pub(crate) fn release() -> Outcome {
    let folder = programs(&[&[WHOLE_PACKAGE], &OPERATOR[..]].concat(), Profile::Release)?;
    for (base, packages, programs, names) in [
        ("nsq", [WHOLE_PACKAGE], [WHOLE], &NAMES[..]),
        ("nsq-operator", OPERATOR, OPERATOR, &[]),
    ] {
        let archive = released(base, &programs, names, &folder)?;
        let contents = archive.with_extension("cdx.json");
        std::fs::write(&contents, contents_of(base, &packages)?)
            .map_err(|e| format!("write {}: {e}", contents.display()))?;
        let size = std::fs::metadata(&archive).map_err(|e| format!("read {}: {e}", archive.display()))?;
        println!(
            "{}: {} ({:.1} MiB), {}",
            released_name(base),
            archive.display(),
            mib(size.len()),
            contents.display()
        );
        if mib(size.len()) > LARGEST {
            return Err(format!("{} is larger than {LARGEST} MiB", archive.display()));
        }
    }
    Ok(())
}

/// Packs one image of this release; gives the archive.
fn released(base: &str, programs: &[&str], names: &[&str], folder: &Path) -> Result<PathBuf, String> {
    let programs: Vec<PathBuf> = programs.iter().map(|program| folder.join(program)).collect();
    let archive = target_dir().join("images").join(format!("{base}.tar"));
    let image = Image {
        name: &released_name(base),
        description: "A message queue: nsqd, nsqlookupd, nsqadmin, their tools, and the operator that runs them",
        programs: &programs,
        names,
        compression: Compression::best(),
    };
    image.write(&archive)?;
    Ok(archive)
}

fn released_name(base: &str) -> String {
    format!("nsq-rs/{base}:{}", env!("CARGO_PKG_VERSION"))
}

/// Builds the image of the operator alone; gives the folder of its program and the archive.
///
/// # Errors
/// The build failed, or the archive cannot be written.
pub(crate) fn operator() -> Result<(PathBuf, PathBuf), String> {
    let folder = programs(&OPERATOR, Profile::Release)?;
    let archive = released("nsq-operator", &OPERATOR, &[], &folder)?;
    Ok((folder, archive))
}

#[allow(clippy::cast_precision_loss, reason = "a size for people")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// The crates that are linked into these programs, as CycloneDX.
fn contents_of(base: &str, packages: &[&str]) -> Result<String, String> {
    let mut tree = cargo();
    tree.args([
        "tree", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{p}\t{l}",
    ]);
    tree.args([
        "--target",
        &format!("{}-unknown-linux-musl", std::env::consts::ARCH),
    ]);
    for package in packages {
        tree.args(["--package", package]);
    }
    let text = output(&mut tree)?;
    let components: BTreeSet<(String, String, String)> = text.lines().filter_map(component).collect();
    let components: Vec<Value> = components
        .into_iter()
        .map(|(name, version, license)| {
            json!({
                "type": "library",
                "name": name,
                "version": version,
                "purl": format!("pkg:cargo/{name}@{version}"),
                "licenses": [{"expression": license}],
            })
        })
        .collect();
    let list = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "container", "name": base, "version": env!("CARGO_PKG_VERSION")}},
        "components": components,
    });
    Ok(format!("{list:#}\n"))
}

/// Name, version and license of a line of `cargo tree`, such as `serde v1.0.0 (proc-macro)<TAB>MIT`.
fn component(line: &str) -> Option<(String, String, String)> {
    let (package, license) = line.split_once('\t')?;
    let mut words = package.split(' ');
    let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
    // The older way to write a choice.
    let license = license.trim_end_matches(" (*)").replace('/', " OR ");
    Some((name.to_owned(), version.to_owned(), license))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_to_the_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(WHOLE);
        std::fs::write(&file, "a program").unwrap();
        let image = Image {
            name: "nsq-rs/nsq:0",
            description: "",
            programs: std::slice::from_ref(&file),
            names: &NAMES,
            compression: Compression::none(),
        };
        let mut layer = Vec::new();
        image.layer(&mut layer).unwrap();
        let mut links = Vec::new();
        for entry in tar::Archive::new(layer.as_slice()).entries().unwrap() {
            let entry = entry.unwrap();
            let path = entry.path().unwrap().display().to_string();
            if entry.header().entry_type() == tar::EntryType::Symlink {
                assert_eq!(entry.link_name().unwrap().unwrap().as_ref(), Path::new(WHOLE));
                links.push(path);
            } else if path.starts_with(FOLDER) && !path.ends_with('/') {
                assert_eq!((path.as_str(), entry.size()), ("usr/bin/nsq", 9));
            }
        }
        assert_eq!(links, NAMES.map(|name| format!("{FOLDER}/{name}")));
        assert_eq!(image.config("")["config"]["Entrypoint"], json!(["/usr/bin/nsqd"]));
    }
}

//! What the whole-system tests need from other languages, installed under `target/test-tools` by each language's own package
//! manager, from the pinned lists in `crates/e2e`. A tool is installed once and again when its list changes.

use std::fs;
use std::path::{Path, PathBuf};

use crate::process::{Outcome, answers, cargo, command, root, run, target_dir};

/// One thing to install.
#[derive(Clone, Copy)]
pub(crate) enum Tool {
    /// nsqd, nsqlookupd and the programs of Go NSQ v1.3.0
    Reference,
    /// the go-nsq test client
    GoNsq,
    /// pynsq in an environment of its own
    Pynsq,
    /// nsqjs in a folder of its own
    Nsqjs,
    /// gnsq in an environment of its own
    Gnsq,
    /// the test client of nsq-j with its libraries
    NsqJ,
    /// the test client of tokio-nsq
    TokioNsq,
    /// Prometheus and promtool
    Prometheus,
    /// Grafana's own types for dashboards, as JSON schemas
    Dashboards,
    /// Drives Chromium through the console.
    Browser,
}

/// Where the tools are.
pub(crate) fn folder() -> PathBuf {
    target_dir().join("test-tools")
}

/// Every program that installing needs.
///
/// # Errors
/// The list of those that are missing.
pub(crate) fn programs_present() -> Result<(), String> {
    present(&[
        ("go", "version"),
        ("python3", "--version"),
        ("node", "--version"),
        ("npm", "--version"),
        ("javac", "-version"),
        ("mvn", "--version"),
    ])
}

fn present(needed: &[(&str, &str)]) -> Result<(), String> {
    let missing: Vec<&str> = needed
        .iter()
        .filter(|(name, arg)| !answers(name, arg))
        .map(|(name, _)| *name)
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(format!("not installed: {}", missing.join(", ")))
    }
}

/// The programs that drive a browser.
///
/// # Errors
/// The list of those that are missing.
pub(crate) fn browser_present() -> Result<(), String> {
    present(&[
        ("node", "--version"),
        ("npm", "--version"),
        ("chromium", "--version"),
    ])
}

impl Tool {
    /// The folder of the browser tests below [`folder`].
    pub(crate) const BROWSER: &'static str = "browser";

    /// The folder of the reference's programs below [`folder`].
    pub(crate) const REFERENCE: &'static str = "go-nsq-daemons";

    pub(crate) const ALL: [Self; 10] = [
        Self::Reference,
        Self::GoNsq,
        Self::Pynsq,
        Self::Nsqjs,
        Self::Gnsq,
        Self::NsqJ,
        Self::TokioNsq,
        Self::Prometheus,
        Self::Dashboards,
        Self::Browser,
    ];

    /// Folder with the pinned list, and the files whose change means installing again.
    fn source(self) -> (PathBuf, &'static [&'static str]) {
        let e2e = root().join("crates/e2e");
        match self {
            Self::Reference => (e2e.join("reference"), &["go.mod", "go.sum"]),
            Self::GoNsq => (
                e2e.join("clients/go-nsq"),
                &["go.mod", "go.sum", "main.go", "scenarios.go", "abilities.go"],
            ),
            Self::Pynsq => (e2e.join("clients/pynsq"), &["requirements.txt"]),
            Self::Nsqjs => (e2e.join("clients/nsqjs"), &["package.json", "package-lock.json"]),
            Self::Gnsq => (e2e.join("clients/gnsq"), &["requirements.txt"]),
            Self::NsqJ => (e2e.join("clients/nsq-j"), &["pom.xml", "Client.java"]),
            Self::TokioNsq => (
                e2e.join("clients/tokio-nsq"),
                &["Cargo.toml", "Cargo.lock", "src/main.rs"],
            ),
            // Any version does: what is asked of it is as old as its text format.
            Self::Prometheus => (e2e, &[]),
            Self::Dashboards => (
                e2e.join("dashboards"),
                &[
                    "package.json",
                    "package-lock.json",
                    "dashboard.ts",
                    "panels.ts",
                    "tsconfig.json",
                ],
            ),
            Self::Browser => (
                root().join("nsqadmin/ui-tests"),
                &[
                    "package.json",
                    "package-lock.json",
                    "console.test.mjs",
                    "live.test.mjs",
                    "looks.test.mjs",
                    "pictures.test.mjs",
                    "queues.test.mjs",
                    "ways.test.mjs",
                    "documented.mjs",
                    "fakes.mjs",
                    "fixtures.mjs",
                    "support.mjs",
                ],
            ),
        }
    }

    /// The tests in a browser, by their files.
    pub(crate) fn browser_tests() -> impl Iterator<Item = &'static str> {
        let (_, files) = Self::Browser.source();
        files.iter().copied().filter(|file| file.ends_with(".test.mjs"))
    }

    /// How it is made, where that changed: what was made before is made anew.
    fn recipe(self) -> &'static str {
        match self {
            Self::Reference => "static\n",
            _ => "",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Reference => Self::REFERENCE,
            Self::GoNsq => "go-nsq",
            Self::Pynsq => "pynsq",
            Self::Nsqjs => "nsqjs",
            Self::Gnsq => "gnsq",
            Self::NsqJ => "nsq-j",
            Self::TokioNsq => "tokio-nsq",
            Self::Prometheus => "prometheus",
            Self::Dashboards => "dashboards",
            Self::Browser => Self::BROWSER,
        }
    }

    /// Installs unless the same list was installed before.
    ///
    /// # Errors
    /// The package manager failed, or a file could not be read or written.
    pub(crate) fn install(self) -> Outcome {
        let (source, inputs) = self.source();
        let target = folder().join(self.name());
        let stamp = target.join(".installed");
        let wanted = self.recipe().to_owned() + &contents(&source, inputs)?;
        if fs::read_to_string(&stamp).is_ok_and(|had| had == wanted) {
            println!("{} is installed", self.name());
            return Ok(());
        }
        fs::create_dir_all(&target).map_err(|e| format!("create {}: {e}", target.display()))?;
        self.fill(&source, &target)?;
        fs::write(&stamp, wanted).map_err(|e| format!("write {}: {e}", stamp.display()))
    }

    fn fill(self, source: &Path, target: &Path) -> Outcome {
        let out = format!("{}/", target.display());
        match self {
            // Static, so that they run in an image with nothing else in it.
            Self::Reference => run(command("go")
                .current_dir(source)
                .env("CGO_ENABLED", "0")
                .args(["build", "-o", &out, "tool"])),
            Self::GoNsq => run(command("go").current_dir(source).args(["build", "-o", &out, "."])),
            Self::Pynsq | Self::Gnsq => {
                run(command("python3").args(["-m", "venv", &out]))?;
                let pip = target.join("bin/pip").to_string_lossy().into_owned();
                let list = source.join("requirements.txt").to_string_lossy().into_owned();
                run(command(&pip).args(["install", "--disable-pip-version-check", "-q", "-r", &list]))
            }
            Self::Nsqjs | Self::Browser => npm(source, target, self.source().1),
            Self::NsqJ => {
                let to = format!("-DoutputDirectory={}", target.display());
                run(command("mvn").current_dir(source).args([
                    "-q",
                    "-B",
                    "dependency:copy-dependencies",
                    &to,
                ]))?;
                let classes = format!("{out}*");
                run(command("javac")
                    .current_dir(source)
                    .args(["-d", &out, "-cp", &classes, "Client.java"]))
            }
            Self::TokioNsq => {
                // Beside ours: its dependencies are of another generation, and the two would take turns in building.
                let build = target.join("build");
                run(cargo()
                    .current_dir(source)
                    .arg("build")
                    .arg("--locked")
                    .arg("--target-dir")
                    .arg(&build))?;
                let (from, to) = (
                    build.join("debug/tokio-nsq-client"),
                    target.join("tokio-nsq-client"),
                );
                fs::copy(&from, &to)
                    .map(drop)
                    .map_err(|e| format!("copy {}: {e}", from.display()))
            }
            Self::Prometheus => prometheus(target),
            Self::Dashboards => {
                npm(source, target, self.source().1)?;
                schema(target, "dashboard", &["--type=Dashboard"])?;
                // Panels have types of the same names, so these do not become definitions.
                schema(target, "panels", &["--type=Panels", "--expose=none"])
            }
        }
    }
}

/// The JSON schema of the types of a file there.
fn schema(target: &Path, name: &str, more: &[&str]) -> Outcome {
    run(command("node")
        .current_dir(target)
        .args([
            "node_modules/ts-json-schema-generator/bin/ts-json-schema-generator.js",
            "--tsconfig=tsconfig.json",
            // Checking them would take the libraries that they come with.
            "--no-type-check",
            &format!("--path={name}.ts"),
            &format!("--out={name}.json"),
        ])
        .args(more))
}

/// The packages of a lock file, beside copies of these files.
fn npm(source: &Path, target: &Path, files: &[&str]) -> Outcome {
    for file in files {
        fs::copy(source.join(file), target.join(file)).map_err(|e| format!("copy {file}: {e}"))?;
    }
    run(command("npm")
        .current_dir(target)
        .args(["ci", "--no-audit", "--no-fund", "--omit=dev"]))
}

/// That of this machine or, unpacked and not installed, that of its Debian or Ubuntu.
fn prometheus(target: &Path) -> Outcome {
    let programs = ["prometheus", "promtool"];
    if !programs.iter().all(|name| answers(name, "--version")) {
        let fetch = || {
            run(command("apt-get")
                .current_dir(target)
                .args(["download", "prometheus"]))
        };
        if fetch().is_err() {
            run(command("apt-get").args(["update", "-q"]))?;
            fetch()?;
        }
        let package = fs::read_dir(target)
            .map_err(|e| format!("read {}: {e}", target.display()))?
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|end| end == "deb"))
            .ok_or("apt-get download left no package")?;
        let unpacked = target.join("unpacked");
        run(command("dpkg-deb").arg("-x").arg(&package).arg(&unpacked))?;
        fs::remove_file(&package).map_err(|e| format!("remove {}: {e}", package.display()))?;
    }
    for name in programs {
        let unpacked = target.join("unpacked/usr/bin").join(name);
        let program = if unpacked.is_file() {
            unpacked
        } else {
            on_path(name).ok_or_else(|| format!("{name} answers and is not on PATH"))?
        };
        let link = target.join(name);
        if link.symlink_metadata().is_err() {
            std::os::unix::fs::symlink(&program, &link)
                .map_err(|e| format!("link {}: {e}", link.display()))?;
        }
    }
    Ok(())
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

fn contents(folder: &Path, files: &[&str]) -> Result<String, String> {
    let mut all = String::new();
    for file in files {
        let path = folder.join(file);
        all.push_str(&fs::read_to_string(&path).map_err(|e| format!("read {}: {e}", path.display()))?);
    }
    Ok(all)
}

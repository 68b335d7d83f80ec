//! Names of files (tools spec 5.4). Pure.

use jiff::ZonedDateTime;

const REVISION: &str = "<REV>";
const DATETIME: &str = "<DATETIME>";
/// Revisions have six digits.
pub(super) const LAST_REVISION: u32 = 999_999;

/// What is the same for all files of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Names {
    /// With `<DATETIME>` in it, and with `<REV>` if files have revisions.
    format: String,
    datetime: String,
}

/// What names are made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts<'a> {
    /// `-filename-format`.
    pub(super) format: &'a str,
    /// `-datetime-format`.
    pub(super) datetime: &'a str,
    /// `-host-identifier`.
    pub(super) host_identifier: &'a str,
    /// Of this machine.
    pub(super) hostname: &'a str,
    /// Of this process.
    pub(super) pid: u32,
    /// Files are packed.
    pub(super) gzip: bool,
    /// Names must tell files of one time apart.
    pub(super) revisions: bool,
}

impl Parts<'_> {
    /// The names for a topic.
    ///
    /// # Errors
    /// Files need a revision that the format has no place for, or a topic's name would lead out of the folder.
    pub(super) fn of(&self, topic: &str) -> Result<Names, String> {
        let short = self.hostname.split('.').next().unwrap_or_default();
        let host = match self.host_identifier {
            "" => short.to_owned(),
            text => text
                .replace("<SHORT_HOST>", short)
                .replace("<HOSTNAME>", self.hostname),
        };
        let mut format = self.format.to_owned();
        if !self.revisions {
            format = format.replace(REVISION, "");
        } else if !format.contains(REVISION) {
            return Err(
                "missing <REV> in --filename-format when gzip, rotation, or work dir enabled".to_owned(),
            );
        }
        format = format.replace("<TOPIC>", topic).replace("<HOST>", &host);
        format = format.replace("<PID>", &self.pid.to_string());
        let climbs = |text: &str| text.split('/').any(|part| part == "..");
        if climbs(&format) && !climbs(self.format) {
            return Err(format!("{format:?} leads out of the folder"));
        }
        if self.gzip && !format.ends_with(".gz") {
            format.push_str(".gz");
        }
        Ok(Names {
            format,
            datetime: self.datetime.to_owned(),
        })
    }
}

impl Names {
    /// The name at this time, without a revision yet.
    pub(super) fn at(&self, now: &ZonedDateTime) -> String {
        self.format.replace(DATETIME, &datetime(&self.datetime, now))
    }
}

/// The name with this revision.
pub(super) fn revised(name: &str, revision: u32) -> String {
    name.replace(REVISION, &format!("-{revision:06}"))
}

/// The directives of the reference; all else stays as it is.
fn datetime(format: &str, now: &ZonedDateTime) -> String {
    let mut text = String::new();
    let mut rest = format.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            text.push(c);
            continue;
        }
        match rest.next() {
            Some('%') | None => text.push('%'),
            Some(c) if "YymdHIMSpBbAaZz".contains(c) => {
                text.push_str(&now.strftime(&format!("%{c}")).to_string());
            }
            Some(c) => text.extend(['%', c]),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noon() -> ZonedDateTime {
        "2024-03-05T13:04:09[Europe/Berlin]".parse().unwrap()
    }

    fn parts() -> Parts<'static> {
        Parts {
            format: "<TOPIC>.<HOST><REV>.<DATETIME>.log",
            datetime: "%Y-%m-%d_%H",
            host_identifier: "",
            hostname: "web1.example.org",
            pid: 42,
            gzip: false,
            revisions: false,
        }
    }

    #[test]
    fn directives_are_replaced_and_all_else_stays() {
        let text = datetime("%Y%y%m%d %H%I%M%S %p %B %b %A %a %Z %z", &noon());
        assert_eq!(text, "2024240305 13010409 PM March Mar Tuesday Tue CET +0100");
        for (format, wanted) in [
            ("%j-%%-%", "%j-%-%"),
            ("2006 Jan Mon 15 01", "2006 Jan Mon 15 01"),
            ("%é", "%é"),
        ] {
            assert_eq!(datetime(format, &noon()), wanted);
        }
    }

    #[test]
    fn a_name_has_topic_host_revision_and_time() {
        let name = parts().of("t").unwrap().at(&noon());
        assert_eq!(name, "t.web1.2024-03-05_13.log");
        let packed = Parts {
            format: "<TOPIC>/<PID><REV>.<HOST>",
            host_identifier: "<SHORT_HOST>+<HOSTNAME>",
            gzip: true,
            revisions: true,
            ..parts()
        };
        let name = packed.of("t").unwrap().at(&noon());
        assert_eq!(revised(&name, 7), "t/42-000007.web1+web1.example.org.gz");
        let ends = Parts {
            format: "<REV>.gz",
            ..packed
        };
        assert_eq!(revised(&ends.of("t").unwrap().at(&noon()), 0), "-000000.gz");
    }

    #[test]
    fn a_format_without_a_revision_is_refused_where_one_is_needed() {
        let without = Parts {
            format: "<TOPIC>.log",
            revisions: true,
            ..parts()
        };
        assert!(without.of("t").unwrap_err().starts_with("missing <REV> in"));
    }

    #[test]
    fn a_topic_does_not_lead_out_of_the_folder() {
        let folders = Parts {
            format: "<TOPIC>/log",
            ..parts()
        };
        assert!(folders.of("..").is_err());
        assert!(folders.of("...").is_ok());
        let meant = Parts {
            format: "../<TOPIC>/log",
            ..parts()
        };
        assert!(meant.of("t").is_ok());
    }
}

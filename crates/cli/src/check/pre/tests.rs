use super::*;

fn class(name: &str, is_default: bool, grows: bool) -> Class {
    Class {
        name: name.to_owned(),
        is_default,
        grows,
    }
}

/// A cluster where all is well.
fn well() -> Facts {
    Facts {
        version: "v1.34.1+k3s1".to_owned(),
        asked: 1,
        denied: Vec::new(),
        classes: Ok(vec![class("fast", true, true), class("slow", false, false)]),
        definitions: vec![("a", Ok(Definition::Absent)), ("b", Ok(Definition::Absent))],
        namespaces: vec![("nsq-system".to_owned(), Ok(Place::Absent))],
    }
}

fn denied(verb: &str, namespace: Option<&str>) -> Right {
    Right {
        group: "apps".to_owned(),
        resource: "deployments".to_owned(),
        verb: verb.to_owned(),
        namespace: namespace.map(str::to_owned),
    }
}

type Row = (&'static str, bool, fn(&mut Facts), Option<&'static str>);

#[test]
fn a_cluster_where_all_is_well_has_no_findings() {
    let report = judge(&well(), None);
    assert!(report.ok && report.findings.is_empty(), "{report:?}");
    let text = report.text();
    assert!(text.contains("✓ kubernetes   v1.34.1+k3s1"), "{text}");
    assert!(text.ends_with("all is well\n"), "{text}");
}

/// Each fault alone: its code, whether it is wrong in any case, what makes it.
#[test]
fn every_fault_is_named() {
    let rows: [Row; 16] = [
        (
            "KUBERNETES_OLD",
            true,
            |facts| facts.version = "v1.29.9".to_owned(),
            None,
        ),
        (
            "NOT_READABLE",
            false,
            |facts| facts.version = "dev".to_owned(),
            None,
        ),
        (
            "RIGHTS_MISSING",
            true,
            |facts| facts.denied = vec![denied("create", None)],
            None,
        ),
        (
            "STORAGE_CLASS_NONE",
            true,
            |facts| facts.classes = Ok(vec![class("slow", false, true)]),
            None,
        ),
        (
            "STORAGE_CLASS_NONE",
            true,
            |facts| facts.classes = Ok(Vec::new()),
            None,
        ),
        ("STORAGE_CLASS_MISSING", true, |_| (), Some("other")),
        ("STORAGE_CLASS_FIXED", false, |_| (), Some("slow")),
        (
            "STORAGE_CLASS_MANY",
            false,
            |facts| {
                facts.classes = Ok(vec![class("a", true, true), class("b", true, true)]);
            },
            None,
        ),
        (
            "NOT_READABLE",
            false,
            |facts| facts.classes = Err("forbidden".to_owned()),
            None,
        ),
        (
            "DEFINITION_MISSING",
            true,
            |facts| facts.definitions[0].1 = Ok(Definition::Same),
            None,
        ),
        (
            "DEFINITION_OTHER",
            false,
            |facts| {
                facts.definitions = vec![("a", Ok(Definition::Other))];
            },
            None,
        ),
        (
            "NOT_READABLE",
            false,
            |facts| facts.definitions[0].1 = Err("forbidden".to_owned()),
            None,
        ),
        (
            "NAMESPACE_ENDING",
            true,
            |facts| facts.namespaces[0].1 = Ok(Place::Ending),
            None,
        ),
        (
            "POD_SECURITY_LOW",
            false,
            |facts| facts.namespaces[0].1 = Ok(Place::There(None)),
            None,
        ),
        (
            "POD_SECURITY_LOW",
            false,
            |facts| {
                facts.namespaces[0].1 = Ok(Place::There(Some("baseline".to_owned())));
            },
            None,
        ),
        (
            "NOT_READABLE",
            false,
            |facts| facts.namespaces[0].1 = Err("forbidden".to_owned()),
            None,
        ),
    ];
    for (code, wrong, change, wanted) in rows {
        let mut facts = well();
        change(&mut facts);
        let report = judge(&facts, wanted);
        let found: Vec<_> = report
            .findings
            .iter()
            .map(|finding| (finding.code, finding.wrong))
            .collect();
        assert_eq!(found, [(code, wrong)], "{facts:?}");
        assert_eq!(report.ok, !wrong, "{code}");
        assert!(
            codes::FINDINGS.iter().any(|(name, _)| *name == code),
            "{code} has no page"
        );
    }
}

#[test]
fn missing_rights_are_told_by_place_and_never_without_end() {
    let mut facts = well();
    facts.asked = 30;
    facts.denied = (0..20).map(|at| denied(&format!("verb{at}"), None)).collect();
    facts.denied.push(denied("create", Some("mq")));
    let report = judge(&facts, None);
    assert_eq!(report.findings.len(), 2);
    assert!(report.findings[1].what.ends_with("and 14 more"), "{report:?}");
    assert_eq!(report.findings[0].subject, "namespace mq");
    assert_eq!(report.findings[0].what, "you may not create deployments.apps");
    assert!(report.text().contains("9 of 30 that the install needs"));
}

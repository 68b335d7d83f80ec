use nsq_service::http::Query;

use super::*;

fn table(things: &[(&str, i64)], query: &str) -> Table {
    let place = Place::new("/topics".to_owned(), &Query::parse(query).unwrap());
    let plan = Plan {
        heading: "Topics",
        columns: vec![
            Column::text("name", "Topic", "", |thing: &(String, i64)| Td::text(&thing.0)),
            Column::number("depth", "Depth", "", |thing: &(String, i64)| thing.1.into()),
        ],
        sort: "name",
        name: Box::new(|thing: &(String, i64)| thing.0.clone()),
        has_filter: true,
        ..Plan::default()
    };
    let things = things
        .iter()
        .map(|(name, depth)| ((*name).to_owned(), *depth))
        .collect();
    plan.show(things, &place, |_| "").0
}

fn names(table: &Table) -> Vec<&str> {
    table.rows.iter().map(|row| row.cells[0].text.as_str()).collect()
}

const SOME: [(&str, i64); 4] = [("b", 7), ("a", 7), ("c", 9), ("d", 0)];

/// Console spec 11.
#[test]
fn ui_020_columns_sort_in_both_directions_with_ties_by_name() {
    for (sort, expected, heads) in [
        ("", ["a", "b", "c", "d"], ["ascending", ""]),
        ("name", ["a", "b", "c", "d"], ["ascending", ""]),
        ("-name", ["d", "c", "b", "a"], ["descending", ""]),
        ("depth", ["d", "a", "b", "c"], ["", "ascending"]),
        ("-depth", ["c", "a", "b", "d"], ["", "descending"]),
        ("nonsense", ["a", "b", "c", "d"], ["ascending", ""]),
    ] {
        let table = table(&SOME, &format!("sort={sort}"));
        assert_eq!(names(&table), expected, "{sort}");
        assert_eq!(
            table.heads.iter().map(|head| head.sorted).collect::<Vec<_>>(),
            heads,
            "{sort}"
        );
    }
    let heads = table(&SOME, "").heads;
    assert_eq!(heads[0].url, "/topics?sort=-name");
    assert_eq!(
        heads[1].url, "/topics?sort=-depth",
        "numbers begin with the largest"
    );
}

/// Console spec 11.
#[test]
fn a_large_table_has_pages_and_says_what_it_shows() {
    let all: Vec<(String, i64)> = (0..1_024).map(|at| (format!("t{at:04}"), at)).collect();
    let all: Vec<(&str, i64)> = all.iter().map(|(name, depth)| (name.as_str(), *depth)).collect();
    for (query, caption, first) in [
        ("", "showing 1–100 of 1,024", "t0000"),
        ("per=25&page=2", "showing 26–50 of 1,024", "t0025"),
        ("per=7", "showing 1–100 of 1,024", "t0000"),
        ("page=999", "showing 1,001–1,024 of 1,024", "t1000"),
        ("page=0", "showing 1–100 of 1,024", "t0000"),
        ("q=t00", "all 100 (filtered from 1,024)", "t0000"),
        ("q=T102", "all 4 (filtered from 1,024)", "t1020"),
    ] {
        let table = table(&all, query);
        assert_eq!(
            (table.caption.as_str(), names(&table)[0]),
            (caption, first),
            "{query}"
        );
    }
    let steps = table(&all, "page=3").pager;
    let texts: Vec<&str> = steps.iter().map(|step| step.text.as_str()).collect();
    assert_eq!(texts, ["Previous", "1", "2", "3", "4", "5", "11", "Next"]);
    assert_eq!(steps[0].url, "/topics?page=2");
}

/// Console spec 11.
#[test]
fn ui_022_filters_are_shown_and_a_broken_one_says_so() {
    let found = table(&SOME, "q=re:^[ab]$");
    assert_eq!(names(&found), ["a", "b"]);
    let filter = found.filter.unwrap();
    assert_eq!(filter.chips, [("q: re:^[ab]$".to_owned(), "/topics".to_owned())]);
    assert_eq!(filter.clear, "/topics");
    let broken = table(&SOME, "q=re:(");
    assert!(
        broken.refusal.contains("no regular expression"),
        "{}",
        broken.refusal
    );
    assert_eq!(broken.rows.len(), 4);
    assert_eq!(table(&SOME, "q=nope").empty, "Nothing fits the filter.");
}

#[test]
fn keys_tell_rows_and_columns_apart() {
    assert_ne!(key("", "a", "bc"), key("", "ab", "c"));
    assert_ne!(key("a", "b", "c"), key("ab", "", "c"));
    assert_eq!(key("x", "a", "b"), key("x", "a", "b"));
}

//! Pages for machines: CSV of the main table, and JSON of all of it, with the same rows as the page.

use nsq_service::http::{Failure, Reply};
use serde_json::{Map, Value, json};

use super::page::Page;
use super::table::{Row, Table};
use super::td::{Rank, Td};
use super::visit::Visit;

/// The main table. A cell that a spreadsheet would take for a formula gets a quote before it.
pub(super) fn csv(page: &Page) -> Reply {
    let mut out = String::new();
    if let Some(table) = page.tables.first() {
        let heads: Vec<String> = table.heads.iter().map(|head| head.key.to_owned()).collect();
        line(&mut out, &heads);
        for row in &table.rows {
            let cells: Vec<String> = row.cells.iter().map(Td::exact).collect();
            line(&mut out, &cells);
        }
    }
    Reply::content("text/csv; charset=utf-8", out)
}

fn line(out: &mut String, cells: &[String]) {
    for (at, cell) in cells.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        let is_number = cell.parse::<f64>().is_ok();
        let is_formula = !is_number && cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
        let cell = if is_formula {
            format!("'{cell}")
        } else {
            cell.clone()
        };
        if cell.contains(['"', ',', '\n', '\r']) {
            out.push_str(&format!("\"{}\"", cell.replace('"', "\"\"")));
        } else {
            out.push_str(&cell);
        }
    }
    out.push_str("\r\n");
}

/// Everything on the page. Keys may be added.
pub(super) fn json(page: &Page, visit: &Visit) -> Result<Reply, Failure> {
    let snapshot = &visit.view.snapshot;
    let missing = snapshot.missing();
    let tiles: Map<String, Value> = page
        .tiles
        .iter()
        .map(|tile| (tile.label.to_owned(), value(&tile.td)))
        .collect();
    let attention = page.attention.iter().flat_map(|attention| &attention.items);
    let attention: Vec<Value> = attention
        .map(|item| {
            json!({"rule": item.rule, "severity": item.severity, "subject": item.subject.text, "text": item.text,
                "since": item.since_exact})
        })
        .collect();
    let tables: Map<String, Value> = page
        .tables
        .iter()
        .map(|table| {
            (
                table.heading.to_owned(),
                Value::Array(table.rows.iter().map(|row| object(table, row)).collect()),
            )
        })
        .collect();
    Reply::json(&json!({
        "schema": "console/1",
        "title": page.title,
        "at": snapshot.at,
        "generation": snapshot.generation,
        "partial": !missing.is_empty(),
        "missing": missing,
        "notices": page.notices.iter().map(|notice| &notice.text).collect::<Vec<_>>(),
        "attention": attention,
        "numbers": tiles,
        "tables": tables,
    }))
}

fn object(table: &Table, row: &Row) -> Value {
    let cells = table.heads.iter().zip(&row.cells);
    Value::Object(
        cells
            .map(|(head, cell)| (head.key.to_owned(), value(cell)))
            .collect(),
    )
}

fn value(cell: &Td) -> Value {
    match &cell.rank {
        Rank::Unknown if cell.text.is_empty() => Value::String(String::new()),
        Rank::Unknown => Value::Null,
        Rank::Number(number) => json!(number),
        Rank::Text(text) => Value::String(text.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_never_a_formula() {
        let mut out = String::new();
        let cells = ["=1+1", "+x", "-x", "-5", "@a", "a,\"b\"", "plain"].map(str::to_owned);
        line(&mut out, &cells);
        assert_eq!(out, "'=1+1,'+x,'-x,-5,'@a,\"a,\"\"b\"\"\",plain\r\n");
    }
}

//! Which column holds what.

use crate::csv::TIME_NAMES;
use crate::read::error::{Problem, listed};
use crate::read::{Columns, Layout};

/// Names (in any case) of the column that says which series a row of a long table belongs to.
pub const ID_NAMES: [&str; 4] = ["unique_id", "item_id", "series_id", "id"];

/// Names (in any case) of the column of values of a long table, and of the list of values where a
/// row holds a whole series.
pub const TARGET_NAMES: [&str; 5] = ["y", "target", "value", "sequence", "values"];

/// The columns of a long table, by position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Long {
    pub(super) id: usize,
    pub(super) time: Option<usize>,
    pub(super) target: usize,
}

impl Long {
    /// The columns' names, of all there are.
    pub(super) fn named(self, names: &[String]) -> Columns {
        let name = |column: usize| names.get(column).cloned();
        Columns { id: name(self.id), time: self.time.and_then(name), target: name(self.target) }
    }
}

/// How a table is laid out, from its columns' names and what was said about them; `None` when it is
/// wide.
pub(super) fn long(names: &[String], columns: &Columns, layout: Layout) -> Result<Option<Long>, Problem> {
    let id = given(names, columns.id.as_deref())?;
    let time = given(names, columns.time.as_deref())?;
    let target = given(names, columns.target.as_deref())?;
    let is_named = id.is_some() || target.is_some();
    if layout == Layout::Wide {
        return Ok(None);
    }
    let id = id.or_else(|| known(names, &ID_NAMES));
    let target = target.or_else(|| known(names, &TARGET_NAMES));
    let time = time.or_else(|| known(names, &TIME_NAMES));
    let unknown = |role| Problem::UnknownColumn { role, columns: listed(names.iter().map(String::as_str)) };
    let (id, target) = match (id, target) {
        (Some(id), Some(target)) => (id, target),
        _ if layout == Layout::Auto && !is_named => return Ok(None),
        (None, _) => return Err(unknown("ids")),
        (_, None) => return Err(unknown("values")),
    };
    let twice = if id == target || time == Some(id) { Some(id) } else { time.filter(|time| *time == target) };
    match twice {
        Some(column) => Err(Problem::ColumnTwice { name: names.get(column).cloned().unwrap_or_default() }),
        None => Ok(Some(Long { id, time, target })),
    }
}

/// The position of a column that was named.
pub(super) fn given(names: &[String], name: Option<&str>) -> Result<Option<usize>, Problem> {
    let Some(name) = name else { return Ok(None) };
    match names.iter().position(|found| found == name) {
        Some(position) => Ok(Some(position)),
        None => Err(Problem::NoColumn {
            name: name.to_owned(),
            columns: listed(names.iter().map(String::as_str)),
        }),
    }
}

/// The position of the first column that has a known name, the better known first.
pub(super) fn known(names: &[String], known: &[&str]) -> Option<usize> {
    known.iter().find_map(|known| names.iter().position(|name| name.eq_ignore_ascii_case(known)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(names: &[&str], columns: &Columns, layout: Layout) -> Result<Option<Long>, Problem> {
        long(&names.iter().map(ToString::to_string).collect::<Vec<_>>(), columns, layout)
    }

    #[test]
    fn usual_names_make_a_table_long() {
        for (names, expected) in [
            (["unique_id", "ds", "y"], Long { id: 0, time: Some(1), target: 2 }),
            (["timestamp", "target", "item_id"], Long { id: 2, time: Some(0), target: 1 }),
            (["Id", "price", "Value"], Long { id: 0, time: None, target: 2 }),
        ] {
            assert_eq!(
                layout(&names, &Columns::default(), Layout::Auto).ok(),
                Some(Some(expected)),
                "{names:?}"
            );
        }
        assert_eq!(layout(&["ds", "y"], &Columns::default(), Layout::Auto).ok(), Some(None));
        assert_eq!(layout(&["unique_id", "ds", "y"], &Columns::default(), Layout::Wide).ok(), Some(None));
    }

    #[test]
    fn columns_that_are_named_must_be_there_and_differ() {
        let names = ["shop", "day", "sold"];
        let columns = |id: &str, target: &str| Columns {
            id: Some(id.to_owned()),
            time: Some("day".to_owned()),
            target: Some(target.to_owned()),
        };
        let found = layout(&names, &columns("shop", "sold"), Layout::Auto);
        assert_eq!(found.ok(), Some(Some(Long { id: 0, time: Some(1), target: 2 })));
        let error = layout(&names, &columns("store", "sold"), Layout::Auto);
        assert!(matches!(error, Err(Problem::NoColumn { .. })));
        let error = layout(&names, &columns("sold", "sold"), Layout::Auto);
        assert!(matches!(error, Err(Problem::ColumnTwice { .. })));
        let only_id = Columns { id: Some("shop".to_owned()), ..Columns::default() };
        assert!(matches!(layout(&names, &only_id, Layout::Auto), Err(Problem::UnknownColumn { .. })));
        assert!(matches!(
            layout(&names, &Columns::default(), Layout::Long),
            Err(Problem::UnknownColumn { role: "ids", .. })
        ));
    }
}

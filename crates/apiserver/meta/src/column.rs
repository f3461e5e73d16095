//! Columns of tables: what `kubectl get` prints of a kind.
//!
//! A column carries the function that makes its cell, so that a row has exactly one cell for each column. Cells are made once
//! for each version of an object and kept as JSON ([`Cells`]). What depends on the time of reading is left open there: ages, and
//! nothing else. A cell's function is not told the time, so that it cannot make what would be kept too long.

use crate::duration;
use crate::object::Object;
use serde_json::Value;

/// How a cell is made.
#[derive(Clone, Copy, Debug)]
pub enum Cell {
    /// A value of the column's type, or null for a blank.
    Value(ValueOf),
    /// How long ago a moment in Unix seconds was. Without one it is `<unknown>`.
    Age(fn(&Object) -> Option<i64>),
}

/// Makes a value that follows from the object alone.
pub type ValueOf = fn(&Object, Timeless) -> Value;

/// Stands where a function could expect the time. Ages have a column of their own: [`Column::since`].
#[derive(Clone, Copy, Debug)]
pub struct Timeless;

/// One printed column of a Table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// The heading.
    pub name: &'static str,
    /// OpenAPI type: `string`, `integer`, `number`, `boolean`, or `date` for a time or an age.
    pub r#type: &'static str,
    /// OpenAPI format; `name` marks the column with the object's name.
    pub format: &'static str,
    /// What the column shows.
    pub description: &'static str,
    /// 0 is always shown, more than 0 only with `-o wide`.
    pub priority: i32,
    /// Makes the cell.
    pub cell: Cell,
}

impl Column {
    /// The object's name, the first column of every table.
    pub const NAME: Self =
        Self { format: "name", ..Self::text("Name", "The name, unique in its namespace.", |object, _| object.name().into()) };

    /// How long ago the object was created, the last of the columns that are always shown.
    pub const AGE: Self = Self::since("Age", "How long ago the object was created.", Object::created_at);

    /// A column of text that is always shown.
    pub const fn text(name: &'static str, description: &'static str, value: ValueOf) -> Self {
        Self { name, r#type: "string", format: "", description, priority: 0, cell: Cell::Value(value) }
    }

    /// A column of integers that is always shown.
    pub const fn integer(name: &'static str, description: &'static str, value: ValueOf) -> Self {
        Self { r#type: "integer", ..Self::text(name, description, value) }
    }

    /// A column of ages that is always shown: how long ago a moment in Unix seconds was.
    pub const fn since(name: &'static str, description: &'static str, moment: fn(&Object) -> Option<i64>) -> Self {
        Self { name, r#type: "date", format: "", description, priority: 0, cell: Cell::Age(moment) }
    }

    /// The column, shown with `-o wide` only.
    #[must_use]
    pub const fn wide(self) -> Self {
        Self { priority: 1, ..self }
    }
}

impl Cell {
    /// The cell of an object at a time in Unix seconds.
    pub fn at(self, object: &Object, now: i64) -> Value {
        match self {
            Self::Value(value) => value(object, Timeless),
            Self::Age(moment) => age(moment(object), now).into(),
        }
    }
}

/// How long ago a moment was, in the words of kubectl.
fn age(moment: Option<i64>, now: i64) -> String {
    moment.map_or_else(|| "<unknown>".into(), |moment| duration::human(now.saturating_sub(moment)))
}

/// The cells of one object's row as a JSON array, at any time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cells {
    /// The array without the ages.
    text: Box<str>,
    /// The ages, in order.
    ages: Box<[Age]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Age {
    /// The offset in the text that it stands at.
    at: usize,
    moment: Option<i64>,
}

impl Cells {
    /// The cells of an object in these columns.
    pub fn of(columns: &[Column], object: &Object) -> Self {
        let (mut text, mut ages) = (String::from("["), Vec::new());
        for (index, column) in columns.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            match column.cell {
                Cell::Value(value) => text.push_str(&value(object, Timeless).to_string()),
                Cell::Age(moment) => ages.push(Age { at: text.len(), moment: moment(object) }),
            }
        }
        text.push(']');
        Self { text: text.into(), ages: ages.into() }
    }

    /// Appends the array as it is at a time in Unix seconds.
    pub fn write(&self, now: i64, out: &mut Vec<u8>) {
        let (text, mut written) = (self.text.as_bytes(), 0);
        for Age { at, moment } in &self.ages {
            out.extend_from_slice(text.get(written..*at).unwrap_or_default());
            written = *at;
            // The words of an age have nothing that JSON escapes.
            out.push(b'"');
            out.extend_from_slice(age(*moment, now).as_bytes());
            out.push(b'"');
        }
        out.extend_from_slice(text.get(written..).unwrap_or_default());
    }

    /// The length of the array as it is at a time in Unix seconds.
    pub fn length(&self, now: i64) -> usize {
        self.text.len() + self.ages.iter().map(|Age { moment, .. }| age(*moment, now).len() + 2).sum::<usize>()
    }
}

#[cfg(test)]
mod tests;

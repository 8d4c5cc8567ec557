//! Searches in a read model.

use std::marker::PhantomData;

use prost_types::{Duration, Timestamp};

use super::page::{self, Page, PageNumber, Window};
use super::read_row;
use crate::failure::Failure;
use crate::read_model::{Column, ReadModel, Value};
use crate::store::{Condition, OrderBy, Selection, SharedStore, Test};

/// A search in a read model; see [`View::find`](super::View::find).
///
/// All conditions must hold. A mistake of the caller (a negative page, an unknown column to order by) is kept and
/// told by [`Find::fetch`], so that a search reads as one chain.
pub struct Find<M> {
    store: SharedStore,
    selection: Selection,
    part: Part,
    mistake: Option<Failure>,
    model: PhantomData<fn() -> M>,
}

/// Which part of the matching rows is wanted.
enum Part {
    Window(Window),
    Token { token: String, size: u32 },
}

impl<M: ReadModel> Find<M> {
    pub(super) fn new(store: SharedStore) -> Self {
        let part = Part::Window(Window::default());
        Self { store, selection: Selection::default(), part, mistake: None, model: PhantomData }
    }

    /// Equal.
    #[must_use]
    pub fn eq<T, V: Into<Value> + Comparable<T>>(self, column: Column<T>, value: V) -> Self {
        self.test(column, Test::Equals(value.into()))
    }

    /// Greater or equal.
    #[must_use]
    pub fn ge<T, V: Into<Value> + Comparable<T>>(self, column: Column<T>, value: V) -> Self {
        self.test(column, Test::AtLeast(value.into()))
    }

    /// Less or equal.
    #[must_use]
    pub fn le<T, V: Into<Value> + Comparable<T>>(self, column: Column<T>, value: V) -> Self {
        self.test(column, Test::AtMost(value.into()))
    }

    /// Greater.
    #[must_use]
    pub fn gt<T, V: Into<Value> + Comparable<T>>(self, column: Column<T>, value: V) -> Self {
        self.test(column, Test::MoreThan(value.into()))
    }

    /// Less.
    #[must_use]
    pub fn lt<T, V: Into<Value> + Comparable<T>>(self, column: Column<T>, value: V) -> Self {
        self.test(column, Test::LessThan(value.into()))
    }

    /// One of these; of none of them when there are none. More than 1,000 make the request invalid at the column.
    #[must_use]
    pub fn any_of<T, V: Into<Value> + Comparable<T>>(
        mut self,
        column: Column<T>,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        let values: Vec<Value> = values.into_iter().take(MAX_VALUES + 1).map(Into::into).collect();
        if values.len() > MAX_VALUES {
            self.mistaken(Failure::invalid(column.name, format!("has more than {MAX_VALUES} values")));
        }
        self.test(column, Test::AnyOf(values))
    }

    /// Absent.
    #[must_use]
    pub fn is_null<T>(self, column: Column<T>) -> Self {
        self.test(column, Test::Equals(Value::Null))
    }

    /// Text that contains this, whatever the case.
    #[must_use]
    pub fn contains(self, column: Column<String>, text: impl Into<String>) -> Self {
        self.test(column, Test::Contains(text.into()))
    }

    /// Equal, if the request says to what: an unset field is no filter.
    #[must_use]
    pub fn matching<T, V: Given<T>>(self, column: Column<T>, value: V) -> Self {
        self.given(column, value, Test::Equals)
    }

    /// One of these, if the request says which: an empty list is no filter.
    #[must_use]
    pub fn matching_any<T, V: Into<Value> + Comparable<T>>(self, column: Column<T>, values: Vec<V>) -> Self {
        if values.is_empty() { self } else { self.any_of(column, values) }
    }

    /// Text that contains this, if the request says what: empty text is no filter.
    #[must_use]
    pub fn containing<V: Given<String>>(self, column: Column<String>, text: V) -> Self {
        match text.given() {
            Some(Value::Text(text)) => self.contains(column, text),
            _ => self,
        }
    }

    /// Greater or equal, if the request says than what: an unset field is no filter.
    #[must_use]
    pub fn at_least<T, V: Given<T>>(self, column: Column<T>, value: V) -> Self {
        self.given(column, value, Test::AtLeast)
    }

    /// Less or equal, if the request says than what: an unset field is no filter.
    #[must_use]
    pub fn at_most<T, V: Given<T>>(self, column: Column<T>, value: V) -> Self {
        self.given(column, value, Test::AtMost)
    }

    /// Smallest first; the first call counts most.
    #[must_use]
    pub fn order_by<T>(mut self, column: Column<T>) -> Self {
        self.selection.order.push(OrderBy { column: column.name, descending: false });
        self
    }

    /// Largest first; the first call counts most.
    #[must_use]
    pub fn order_by_desc<T>(mut self, column: Column<T>) -> Self {
        self.selection.order.push(OrderBy { column: column.name, descending: true });
        self
    }

    /// An order as callers write it: `name desc, price`, column names in the proto's or in JSON's spelling.
    ///
    /// An unknown column, or one that is named twice, makes the request invalid at `order_by`.
    #[must_use]
    pub fn order_by_text(mut self, text: &str) -> Self {
        for term in text.split(',').map(str::trim).filter(|term| !term.is_empty()) {
            match parse_order::<M>(term) {
                Ok(order) if self.selection.order.iter().any(|it| it.column == order.column) => {
                    self.mistaken(Failure::invalid("order_by", format!("names `{}` twice", order.column)));
                    return self;
                }
                Ok(order) => self.selection.order.push(order),
                Err(mistake) => self.mistaken(mistake),
            }
        }
        self
    }

    /// The page of that number, from 1; 0 means the first page and the default size.
    #[must_use]
    pub fn page(mut self, number: impl PageNumber, size: impl PageNumber) -> Self {
        match Window::numbered(number.number(), size.number()) {
            Ok(window) => self.part = Part::Window(window),
            Err(mistake) => self.mistaken(mistake),
        }
        self
    }

    /// The page that a token leads to; the first one for an empty token. Size 0 means the default.
    #[must_use]
    pub fn page_token(mut self, token: &str, size: impl PageNumber) -> Self {
        match page::page_size(size.number()) {
            Ok(size) => self.part = Part::Token { token: token.to_owned(), size },
            Err(mistake) => self.mistaken(mistake),
        }
        self
    }

    /// Searches.
    ///
    /// # Errors
    /// The request is invalid (page, page token, order), or the store is out of reach.
    pub async fn fetch(mut self) -> Result<Page<M::Row>, Failure> {
        if let Some(mistake) = self.mistake {
            return Err(mistake);
        }
        let window = resolve::<M>(self.part, &self.selection)?;
        self.selection.limit = Some(window.size);
        self.selection.offset = window.offset;
        self.selection.count = true;
        let selected = self.store.select(M::TABLE, self.selection.clone()).await?;
        let rows = selected.rows.into_iter().map(read_row::<M>).collect::<Result<Vec<_>, _>>()?;
        let total = selected.total.unwrap_or(window.offset + rows.len() as u64);
        let next = window.next().offset;
        let next_page_token =
            if next < total { page::token(next, M::TABLE.name, &self.selection) } else { String::new() };
        Ok(Page { rows, total, page: window.page(), page_size: window.size, next_page_token })
    }

    /// The first row in the order given, if any matches.
    ///
    /// # Errors
    /// The request is invalid, or the store is out of reach.
    pub async fn first(mut self) -> Result<Option<M::Row>, Failure> {
        if let Some(mistake) = self.mistake {
            return Err(mistake);
        }
        self.selection.limit = Some(1);
        let selected = self.store.select(M::TABLE, self.selection).await?;
        selected.rows.into_iter().next().map(read_row::<M>).transpose()
    }

    fn test<T>(mut self, column: Column<T>, test: Test) -> Self {
        self.selection.conditions.push(Condition { column: column.name, test });
        self
    }

    fn given<T, V: Given<T>>(self, column: Column<T>, value: V, test: fn(Value) -> Test) -> Self {
        match value.given() {
            Some(value) => self.test(column, test(value)),
            None => self,
        }
    }

    /// Keeps the first mistake.
    fn mistaken(&mut self, mistake: Failure) {
        self.mistake.get_or_insert(mistake);
    }
}

/// Databases bound how many values a statement may have.
const MAX_VALUES: usize = 1000;

/// The rows that a part means.
fn resolve<M: ReadModel>(part: Part, selection: &Selection) -> Result<Window, Failure> {
    match part {
        Part::Window(window) => Ok(window),
        Part::Token { token, size } => {
            let offset = page::offset(&token, M::TABLE.name, selection)?;
            Ok(Window { offset, size })
        }
    }
}

/// Reads one term of an order: a column, and `asc` or `desc`.
fn parse_order<M: ReadModel>(term: &str) -> Result<OrderBy, Failure> {
    let mut words = term.split_whitespace();
    let name = words.next().unwrap_or_default();
    let descending = match words.next().map(str::to_ascii_lowercase).as_deref() {
        None | Some("asc") => false,
        Some("desc") => true,
        Some(word) => return Err(Failure::invalid("order_by", format!("has `{word}` where asc or desc belongs"))),
    };
    if let Some(word) = words.next() {
        return Err(Failure::invalid("order_by", format!("has `{word}` where a comma belongs")));
    }
    let column = column_named::<M>(name)
        .ok_or_else(|| Failure::invalid("order_by", format!("names `{name}`, which is not a column")))?;
    Ok(OrderBy { column, descending })
}

/// The column of that name in the proto's or in JSON's spelling.
fn column_named<M: ReadModel>(name: &str) -> Option<&'static str> {
    let columns = M::TABLE.columns.iter().map(|column| column.name);
    std::iter::once(M::TABLE.key).chain(columns).find(|column| *column == name || json_name(column) == name)
}

/// The lowerCamelCase spelling that proto3's JSON mapping gives to a field.
fn json_name(column: &str) -> String {
    let mut name = String::with_capacity(column.len());
    let mut upper = false;
    for c in column.chars() {
        match c {
            '_' => upper = true,
            c if upper => {
                name.push(c.to_ascii_uppercase());
                upper = false;
            }
            c => name.push(c),
        }
    }
    name
}

/// A value that a column of type `T` may be compared with.
pub trait Comparable<T> {}

/// A request's field as a filter of a column of type `T`: proto3's default value means that it is unset, unless the
/// field is `optional`.
pub trait Given<T> {
    /// What to compare with, if the field is set.
    fn given(self) -> Option<Value>;
}

macro_rules! filters {
    ($($ty:ty),*) => {$(
        impl Comparable<$ty> for $ty {}

        impl Given<$ty> for $ty {
            fn given(self) -> Option<Value> {
                (self != <$ty>::default()).then(|| self.into())
            }
        }

        impl Given<$ty> for Option<$ty> {
            fn given(self) -> Option<Value> {
                self.map(Value::from)
            }
        }
    )*};
}

filters!(bool, i32, i64, u32, u64, f32, f64, String, Vec<u8>);

impl Comparable<String> for &str {}
impl Comparable<String> for &String {}
impl Comparable<Vec<u8>> for &[u8] {}
impl Comparable<Timestamp> for Timestamp {}
impl Comparable<Duration> for Duration {}

impl Given<String> for &str {
    fn given(self) -> Option<Value> {
        (!self.is_empty()).then(|| self.into())
    }
}

/// Messages have presence in proto3: a timestamp that is there counts, even the epoch.
impl Given<Timestamp> for Option<Timestamp> {
    fn given(self) -> Option<Value> {
        self.map(Value::from)
    }
}

impl Given<Timestamp> for Timestamp {
    fn given(self) -> Option<Value> {
        Some(self.into())
    }
}

impl Given<Duration> for Option<Duration> {
    fn given(self) -> Option<Value> {
        self.map(Value::from)
    }
}

impl Given<Duration> for Duration {
    fn given(self) -> Option<Value> {
        Some(self.into())
    }
}

//! Pages: their numbers and sizes, and the tokens that lead from one to the next.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::failure::Failure;
use crate::store::Selection;

/// Rows per page when the caller doesn't say.
pub const DEFAULT_PAGE_SIZE: u32 = 20;

/// Rows per page at most; a caller who asks for more gets that many.
pub const MAX_PAGE_SIZE: u32 = 1000;

/// One page of rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<R> {
    /// The rows.
    pub rows: Vec<R>,
    /// How many rows match on all pages.
    pub total: u64,
    /// Number of this page, from 1.
    pub page: u32,
    /// Rows per page, as applied.
    pub page_size: u32,
    /// Token of the next page; empty on the last.
    pub next_page_token: String,
}

impl<R> Page<R> {
    /// [`Page::total`] in the type of the reply's field; the largest such number if it doesn't fit.
    #[must_use]
    pub fn total_as<T: Count>(&self) -> T {
        T::saturating(self.total)
    }

    /// [`Page::page`] in the type of the reply's field.
    #[must_use]
    pub fn page_as<T: Count>(&self) -> T {
        T::saturating(self.page.into())
    }

    /// [`Page::page_size`] in the type of the reply's field.
    #[must_use]
    pub fn page_size_as<T: Count>(&self) -> T {
        T::saturating(self.page_size.into())
    }

    /// How many pages there are, in the type of the reply's field.
    #[must_use]
    pub fn pages_as<T: Count>(&self) -> T {
        T::saturating(self.total.div_ceil(u64::from(self.page_size)))
    }

    /// Whether there is a page after this one.
    #[must_use]
    pub fn has_more(&self) -> bool {
        !self.next_page_token.is_empty()
    }
}

/// A whole number in a reply.
pub trait Count: sealed::Sealed {
    /// The number, or the largest of its type.
    fn saturating(count: u64) -> Self;
}

/// A whole number in a request; 0 and absent mean that the caller doesn't say.
pub trait PageNumber: sealed::Sealed {
    /// The number, wide enough for all.
    fn number(self) -> i128;
}

mod sealed {
    /// Keeps the traits of this module to proto's whole numbers.
    pub trait Sealed {}
    impl<T: Sealed> Sealed for Option<T> {}
}

macro_rules! whole_numbers {
    ($($ty:ty),*) => {$(
        impl sealed::Sealed for $ty {}

        impl Count for $ty {
            fn saturating(count: u64) -> Self {
                <$ty>::try_from(count).unwrap_or(<$ty>::MAX)
            }
        }

        impl PageNumber for $ty {
            fn number(self) -> i128 {
                self.into()
            }
        }
    )*};
}

whole_numbers!(i32, i64, u32, u64);

impl<T: PageNumber> PageNumber for Option<T> {
    fn number(self) -> i128 {
        self.map_or(0, PageNumber::number)
    }
}

/// Which part of the matching rows is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub offset: u64,
    pub size: u32,
}

impl Default for Window {
    fn default() -> Self {
        Self { offset: 0, size: DEFAULT_PAGE_SIZE }
    }
}

impl Window {
    /// The window of a numbered page.
    pub fn numbered(page: i128, size: i128) -> Result<Self, Failure> {
        let size = page_size(size)?;
        let page = u64::try_from(page).map_err(|_| Failure::invalid("page", "must not be negative"))?;
        Ok(Self { offset: page.saturating_sub(1).saturating_mul(size.into()), size })
    }

    /// The number of the page that begins here.
    pub fn page(self) -> u32 {
        u32::saturating(self.offset / u64::from(self.size) + 1)
    }

    /// The window after this one.
    pub fn next(self) -> Self {
        Self { offset: self.offset.saturating_add(self.size.into()), ..self }
    }
}

/// The page size to apply.
pub(super) fn page_size(wanted: i128) -> Result<u32, Failure> {
    match u64::try_from(wanted) {
        Err(_) => Err(Failure::invalid("page_size", "must not be negative")),
        Ok(0) => Ok(DEFAULT_PAGE_SIZE),
        Ok(size) => Ok(u32::saturating(size).min(MAX_PAGE_SIZE)),
    }
}

/// Bytes of the digest that a token carries.
const DIGEST: usize = 12;

/// The token of the page at `offset` of a search: it leads nowhere with other conditions or another order.
pub(super) fn token(offset: u64, table: &str, selection: &Selection) -> String {
    let mut bytes = offset.to_be_bytes().to_vec();
    bytes.extend_from_slice(&digest(offset, table, selection));
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Where the page of a token begins; 0 for the empty token.
pub(super) fn offset(token: &str, table: &str, selection: &Selection) -> Result<u64, Failure> {
    if token.is_empty() {
        return Ok(0);
    }
    let invalid = || Failure::invalid("page_token", "is not a token of this query");
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| invalid())?;
    let (offset, seal) = bytes.split_first_chunk::<8>().ok_or_else(invalid)?;
    let offset = u64::from_be_bytes(*offset);
    if seal == digest(offset, table, selection) { Ok(offset) } else { Err(invalid()) }
}

/// Binds an offset to what is searched for.
fn digest(offset: u64, table: &str, selection: &Selection) -> [u8; DIGEST] {
    let mut hash = Sha256::new();
    hash.update(offset.to_be_bytes());
    hash.update(format!("{table} {:?} {:?}", selection.conditions, selection.order));
    let digest = hash.finalize();
    *digest.first_chunk().expect("a SHA-256 digest is longer")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::OrderBy;

    #[test]
    fn a_token_leads_back_to_its_offset() {
        let selection = Selection::default();
        assert_eq!(offset(&token(40, "products", &selection), "products", &selection), Ok(40));
        assert_eq!(offset("", "products", &selection), Ok(0));
    }

    #[test]
    fn a_token_of_another_search_or_a_changed_one_is_refused() {
        let selection = Selection::default();
        let other = Selection { order: vec![OrderBy { column: "name", descending: false }], ..Selection::default() };
        let token = token(40, "products", &selection);
        let mut changed = token.clone().into_bytes();
        changed[4] = if changed[4] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).expect("still ASCII");
        for (token, table, selection) in [
            (token.as_str(), "products", &other),
            (token.as_str(), "orders", &selection),
            (changed.as_str(), "products", &selection),
            (&token[1..], "products", &selection),
            ("%%%", "products", &selection),
            ("AAAA", "products", &selection),
        ] {
            let failure = offset(token, table, selection).expect_err(token);
            assert_eq!(failure.violations[0].field, "page_token");
        }
    }

    #[test]
    fn page_and_size_have_defaults_and_bounds() {
        assert_eq!(Window::numbered(0, 0), Ok(Window { offset: 0, size: DEFAULT_PAGE_SIZE }));
        assert_eq!(Window::numbered(3, 10), Ok(Window { offset: 20, size: 10 }));
        assert_eq!(Window::numbered(1, 1_000_000).map(|it| it.size), Ok(MAX_PAGE_SIZE));
        assert_eq!(Window::numbered(-1, 0).expect_err("negative").violations[0].field, "page");
        assert_eq!(Window::numbered(1, -5).expect_err("negative").violations[0].field, "page_size");
        assert_eq!(Window::numbered(i128::from(u64::MAX), 1000).map(|it| it.offset), Ok(u64::MAX));
    }

    #[test]
    fn counts_saturate() {
        let page = Page::<()> { rows: vec![], total: u64::MAX, page: 2, page_size: 10, next_page_token: String::new() };
        assert_eq!(page.total_as::<i32>(), i32::MAX);
        assert_eq!(page.page_as::<i64>(), 2);
        assert!(!page.has_more());
    }
}

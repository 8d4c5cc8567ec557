//! Intent: what the fields of a query's request and reply are plainly for.
//!
//! A query is a plain *Get* when it asks for one row by its id and answers with that row; a plain *List* when
//! every field of its request is a filter or a part of paging, and its reply is the rows and what belongs to a page.
//! One field that fits neither makes the query unclear: a filter that is silently ignored is worse than a refusal.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use super::fields::{column_type, is_flat_copy, nested, same_type};

/// A plain Get.
#[derive(Clone, Debug, PartialEq)]
pub struct Get {
    /// The request's field with the id.
    pub id: FieldDescriptor,
    /// Where the reply has the row.
    pub row: RowPlace,
}

/// Where a reply has a row.
#[derive(Clone, Debug, PartialEq)]
pub enum RowPlace {
    /// The reply is the row's message itself, or has fields of it, of the same names and types.
    Flat,
    /// In this field of the reply; its message is the row's, or has fields of it.
    Nested(FieldDescriptor),
}

/// A plain List.
#[derive(Clone, Debug, PartialEq)]
pub struct List {
    /// What each field of the request is for, in their order.
    pub request: Vec<(FieldDescriptor, RequestRole)>,
    /// What each field of the reply is for, in their order; exactly one is [`ReplyRole::Rows`].
    pub reply: Vec<(FieldDescriptor, ReplyRole)>,
}

/// What a field of a List's request is for.
#[derive(Clone, Debug, PartialEq)]
pub enum RequestRole {
    /// Number of the page, from 1: `page`, `page_number`.
    Page,
    /// Rows on a page: `page_size`, `per_page`, `limit`.
    PageSize,
    /// Where to go on: `page_token`.
    PageToken,
    /// Columns to order by: `order_by`, `sort_by`, `sort`.
    OrderBy,
    /// The column must be equal.
    Equals(FieldDescriptor),
    /// The column must be at least that: `min_<column>`.
    AtLeast(FieldDescriptor),
    /// The column must be at most that: `max_<column>`.
    AtMost(FieldDescriptor),
}

/// What a field of a List's reply is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyRole {
    /// The rows.
    Rows,
    /// How many rows there are on all pages: `total`, `total_count`, `total_size`, `count`.
    Total,
    /// Number of the page.
    Page,
    /// Rows on a page.
    PageSize,
    /// How many pages there are: `total_pages`, `page_count`.
    TotalPages,
    /// Where to go on: `next_page_token`.
    NextPageToken,
    /// Whether there are more pages: `has_more`, `has_next`.
    HasMore,
}

/// Reads a query as a Get by `id`, if it plainly is one.
pub fn get(
    request: &MessageDescriptor,
    reply: &MessageDescriptor,
    row: &MessageDescriptor,
    id: Option<&FieldDescriptor>,
) -> Option<Get> {
    let id = id.filter(|_| request.fields().len() == 1)?.clone();
    let place = if is_row(reply, row) {
        RowPlace::Flat
    } else {
        let only = reply.fields().next().filter(|_| reply.fields().len() == 1)?;
        let message = nested(&only).filter(|_| !only.is_list())?;
        is_row(&message, row).then_some(RowPlace::Nested(only))?
    };
    Some(Get { id, row: place })
}

/// Reads a query as a List, if it plainly is one.
pub fn list(request: &MessageDescriptor, reply: &MessageDescriptor, row: &MessageDescriptor) -> Option<List> {
    let roles_of_request: Option<Vec<_>> =
        request.fields().map(|it| request_role(&it, row).map(|role| (it, role))).collect();
    let roles_of_reply: Option<Vec<_>> = reply.fields().map(|it| reply_role(&it, row).map(|role| (it, role))).collect();
    let list = List { request: roles_of_request?, reply: roles_of_reply? };
    let rows = list.reply.iter().filter(|(_, role)| *role == ReplyRole::Rows).count();
    (rows == 1).then_some(list)
}

/// The fields of a request that keep a query with a list of rows in its reply from being plain.
pub fn misfits(
    request: &MessageDescriptor,
    reply: &MessageDescriptor,
    row: &MessageDescriptor,
) -> Vec<FieldDescriptor> {
    let has_rows = reply.fields().any(|it| reply_role(&it, row) == Some(ReplyRole::Rows));
    request.fields().filter(|it| has_rows && request_role(it, row).is_none()).collect()
}

fn is_row(message: &MessageDescriptor, row: &MessageDescriptor) -> bool {
    message == row || is_flat_copy(message, row)
}

fn request_role(field: &FieldDescriptor, row: &MessageDescriptor) -> Option<RequestRole> {
    if let Some(column) = column(field, row, field.name()) {
        return Some(RequestRole::Equals(column));
    }
    for (prefix, role) in [("min_", RequestRole::AtLeast as fn(_) -> _), ("max_", RequestRole::AtMost as fn(_) -> _)] {
        if let Some(column) = field.name().strip_prefix(prefix).and_then(|name| column(field, row, name)) {
            return Some(role(column));
        }
    }
    match field.name() {
        "page" | "page_number" if is_whole(field) => Some(RequestRole::Page),
        "page_size" | "per_page" | "limit" if is_whole(field) => Some(RequestRole::PageSize),
        "page_token" if is_text(field) => Some(RequestRole::PageToken),
        "order_by" | "sort_by" | "sort" if is_text(field) => Some(RequestRole::OrderBy),
        _ => None,
    }
}

/// The row's field of that name, if SQL can hold it and the types agree.
fn column(field: &FieldDescriptor, row: &MessageDescriptor, name: &str) -> Option<FieldDescriptor> {
    let column = row.get_field_by_name(name)?;
    (same_type(field, &column) && column_type(&column).is_some()).then_some(column)
}

fn reply_role(field: &FieldDescriptor, row: &MessageDescriptor) -> Option<ReplyRole> {
    if field.is_list() {
        return nested(field).filter(|it| is_row(it, row)).map(|_| ReplyRole::Rows);
    }
    match field.name() {
        "total" | "total_count" | "total_size" | "count" if is_whole(field) => Some(ReplyRole::Total),
        "page" | "page_number" if is_whole(field) => Some(ReplyRole::Page),
        "page_size" | "per_page" | "limit" if is_whole(field) => Some(ReplyRole::PageSize),
        "total_pages" | "page_count" if is_whole(field) => Some(ReplyRole::TotalPages),
        "next_page_token" if is_text(field) => Some(ReplyRole::NextPageToken),
        "has_more" | "has_next" if field.kind() == Kind::Bool => Some(ReplyRole::HasMore),
        _ => None,
    }
}

fn is_whole(field: &FieldDescriptor) -> bool {
    let whole = matches!(
        field.kind(),
        Kind::Int32
            | Kind::Int64
            | Kind::Uint32
            | Kind::Uint64
            | Kind::Sint32
            | Kind::Sint64
            | Kind::Fixed32
            | Kind::Fixed64
            | Kind::Sfixed32
            | Kind::Sfixed64
    );
    whole && !field.is_list()
}

fn is_text(field: &FieldDescriptor) -> bool {
    field.kind() == Kind::String && !field.is_list()
}

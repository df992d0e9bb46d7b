//! The statements, each made from a table of the catalogue and nothing else: keys and values travel as parameters.
//!
//! Keys lie as they are everywhere, the table's number first; `bytea` compares them byte by byte.

use crate::table::{HEAD, META, TableEntry, TableId, all};

/// What a statement does to one table of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verb {
    /// Reads rows by key.
    Get,
    /// Reads rows of a range, smallest key first.
    Forward,
    /// Reads rows of a range, largest key first.
    Backward,
    /// As `Forward`, bounded in bytes.
    ForwardBounded,
    /// As `Backward`, bounded in bytes.
    BackwardBounded,
    /// Locks rows and reads their versions.
    Lock,
    /// Puts a placeholder where there is no row, which keeps every other node from putting one.
    Claim,
    /// Writes rows, new or not.
    Put,
    /// Writes rows that cannot be there yet.
    Insert,
    /// Removes rows.
    Delete,
}

/// The statement that does `verb` to `table`.
pub(crate) fn statement(verb: Verb, table: &TableEntry) -> String {
    let table = format!("holdfast.t_{}", table.name);
    match verb {
        Verb::Get => format!("SELECT k, v, version FROM {table} WHERE k = ANY($1)"),
        Verb::Forward => range(&table, "ASC"),
        Verb::Backward => range(&table, "DESC"),
        Verb::ForwardBounded => bounded(&range(&table, "ASC"), "ASC"),
        Verb::BackwardBounded => bounded(&range(&table, "DESC"), "DESC"),
        Verb::Lock => format!("SELECT k, version FROM {table} WHERE k = ANY($1) ORDER BY k FOR UPDATE"),
        Verb::Claim => format!(
            "INSERT INTO {table} (k, v, version) SELECT k, '', 0 FROM unnest($1::bytea[]) AS r(k) \
             ON CONFLICT (k) DO NOTHING RETURNING k"
        ),
        Verb::Put => {
            format!("{} ON CONFLICT (k) DO UPDATE SET v = excluded.v, version = excluded.version", insert(&table))
        }
        Verb::Insert => insert(&table),
        Verb::Delete => format!("DELETE FROM {table} WHERE k = ANY($1)"),
    }
}

fn range(table: &str, order: &str) -> String {
    format!("SELECT k, v, version FROM {table} WHERE k >= $1 AND k < $2 ORDER BY k {order} LIMIT $3")
}

/// Cuts a page where the rows before have `$4` bytes. `octet_length` reads a length, not the value.
fn bounded(range: &str, order: &str) -> String {
    format!(
        "SELECT k, v, version FROM (SELECT k, v, version, coalesce(sum(octet_length(k) + octet_length(v)) \
         OVER (ORDER BY k {order} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before FROM ({range}) AS page) \
         AS sized WHERE before < $4::bigint"
    )
}

fn insert(table: &str) -> String {
    format!("INSERT INTO {table} (k, v, version) SELECT k, v, $3 FROM unnest($1::bytea[], $2::bytea[]) AS r(k, v)")
}

/// The tables that lie as rows. What META and HEAD hold has tables of its own.
pub(crate) fn row_tables() -> impl DoubleEndedIterator<Item = &'static TableEntry> {
    let tables: Vec<_> = all().filter(|entry| entry.id != META && entry.id != HEAD).collect();
    tables.into_iter()
}

/// The catalogue's entry of a table that lies as rows.
pub(crate) fn row_table(table: TableId) -> Option<&'static TableEntry> {
    table.entry().filter(|entry| entry.id != META && entry.id != HEAD)
}

/// Locks this node's row, which no other transaction of ours can then get past, and gives the transaction its number.
pub(crate) const LOCK_WRITER: &str = "SELECT commit_number, pg_current_xact_id()::text::bigint FROM holdfast.writer \
     WHERE id = $1 FOR UPDATE";

/// Counts a commit of this node.
pub(crate) const COUNT: &str = "UPDATE holdfast.writer SET commit_number = $2 WHERE id = $1";

/// Locks partitions, always in the same order, and reads their heads.
pub(crate) const LOCK_HEADS: &str =
    "SELECT partition, head FROM holdfast.partition WHERE partition = ANY($1) ORDER BY partition FOR UPDATE";

/// Moves heads.
pub(crate) const MOVE_HEADS: &str = "UPDATE holdfast.partition AS p SET head = moved.head \
     FROM unnest($1::int[], $2::bigint[]) AS moved(partition, head) WHERE p.partition = moved.partition";

/// Reads all heads.
pub(crate) const HEADS: &str = "SELECT partition, head FROM holdfast.partition ORDER BY partition";

/// Says that heads have moved. It carries nothing: whoever hears it reads the heads.
pub(crate) const NOTIFY: &str = "NOTIFY holdfast_log";

/// Hears what [`NOTIFY`] says.
pub(crate) const LISTEN: &str = "LISTEN holdfast_log";

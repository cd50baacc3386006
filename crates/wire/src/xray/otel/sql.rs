//! `sql` of a document.

use super::Said;
use crate::xray::parts::{Object, put};

/// The systems that speak SQL; of others X-Ray keeps no `sql` block.
///
/// **Rule:** `awsxrayexporter`, `sql.go`; the names with a dot are their successors in the
/// semantic conventions of databases.
const SQL_SYSTEMS: [&str; 14] = [
    "db2",
    "derby",
    "hive",
    "mariadb",
    "mssql",
    "mysql",
    "oracle",
    "postgresql",
    "sqlite",
    "teradata",
    "other_sql",
    "ibm.db2",
    "microsoft.sql_server",
    "oracle.db",
];

/// **Rule:** `awsxrayexporter`, `sql.go`: the URL is the span's name.
pub(super) fn write(said: &mut Said<'_>, document: &mut Object) {
    const SYSTEM: [&str; 2] = ["db.system", "db.system.name"];
    if !said.own.first_text(&SYSTEM).is_some_and(|system| SQL_SYSTEMS.contains(&system)) {
        return;
    }
    let mut sql = Object::new();
    let mut set = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            sql.insert(key.to_owned(), value.into());
        }
    };
    let connection = said.own.take_text(&["db.connection_string"]).unwrap_or("localhost");
    let database = said.own.take_text(&["db.name", "db.namespace"]);
    set("url", Some(said.span.name().to_owned()));
    set("connection_string", Some(format!("{connection}/{}", database.unwrap_or_default())));
    set("database_type", said.own.take_text(&SYSTEM).map(str::to_owned));
    set("user", said.own.take_text(&["db.user"]).map(str::to_owned));
    let query = said.own.take_text(&["db.statement", "db.query.text"]);
    set("sanitized_query", query.map(str::to_owned));
    put(document, &["sql"], sql.into());
}

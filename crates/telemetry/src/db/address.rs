//! The server that a connection's URL names.

use std::borrow::Cow;
use std::sync::Arc;

use opentelemetry::KeyValue;
use percent_encoding::percent_decode_str;
use url::Url;

use super::sql::Dialect;
use crate::names;

/// A database system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum System {
    PostgreSql,
    MySql,
    Sqlite,
}

impl System {
    pub(super) fn dialect(self) -> Dialect {
        match self {
            Self::MySql => Dialect::MySql,
            Self::PostgreSql | Self::Sqlite => Dialect::Standard,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::PostgreSql => names::POSTGRESQL,
            Self::MySql => names::MYSQL,
            Self::Sqlite => names::SQLITE,
        }
    }

    fn default_port(self) -> Option<u16> {
        match self {
            Self::PostgreSql => Some(5432),
            Self::MySql => Some(3306),
            Self::Sqlite => None,
        }
    }
}

/// A server as the attributes of its spans name it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) system: System,
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) database: Option<String>,
}

impl Address {
    /// Of a URL, of libpq's `name=value` pairs, or of a file of SQLite.
    pub(super) fn of_url(url: &str) -> Self {
        let scheme = url.split_once("://").map(|(scheme, _)| scheme);
        match (scheme, Url::parse(url)) {
            (Some("postgres" | "postgresql"), Ok(url)) => Self::of_server(System::PostgreSql, &url),
            (Some("mysql"), Ok(url)) => Self::of_server(System::MySql, &url),
            (Some("postgres" | "postgresql"), Err(_)) => Self::unknown(System::PostgreSql),
            (Some("mysql"), Err(_)) => Self::unknown(System::MySql),
            _ if is_of_pairs(url) => Self::of_pairs(url),
            _ => Self::of_file(url),
        }
    }

    pub(super) fn attributes(&self) -> Vec<KeyValue> {
        let text = |name, text: &Option<String>| {
            let text = text.as_deref().map(Arc::<str>::from);
            text.map(|text| KeyValue::new(name, text))
        };
        let port = self.port.map(i64::from);
        [
            Some(KeyValue::new(names::DB_SYSTEM_NAME, self.system.name())),
            text(names::DB_NAMESPACE, &self.database),
            text(names::SERVER_ADDRESS, &self.host),
            port.map(|port| KeyValue::new(names::SERVER_PORT, port)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn unknown(system: System) -> Self {
        Self {
            system,
            host: None,
            port: None,
            database: None,
        }
    }

    fn of_server(system: System, url: &Url) -> Self {
        let of_query = |name: &str| {
            let mut pairs = url.query_pairs();
            pairs
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.into_owned())
        };
        let path = url.path().trim_start_matches('/');
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.map(|host| decoded(host.trim_matches(['[', ']'])));
        Self {
            system,
            host: host.or_else(|| of_query("host")),
            port: url
                .port()
                .or_else(|| of_query("port")?.parse().ok())
                .or(system.default_port()),
            database: Some(decoded(path)).filter(|name| !name.is_empty()),
        }
    }

    fn of_pairs(pairs: &str) -> Self {
        let value = |name: &str| {
            let mut pairs = pairs.split_whitespace().filter_map(|pair| pair.split_once('='));
            let (_, value) = pairs.find(|(key, _)| *key == name)?;
            Some(value.trim_matches('\'').to_owned())
        };
        let system = System::PostgreSql;
        Self {
            system,
            host: value("host"),
            port: value("port").map_or(system.default_port(), |port| port.parse().ok()),
            database: value("dbname"),
        }
    }

    /// The file's name, without its folder and without parameters.
    fn of_file(url: &str) -> Self {
        let path = url.split('?').next().unwrap_or_default();
        let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
        Self {
            database: Some(name.to_owned()).filter(|name| !name.is_empty()),
            ..Self::unknown(System::Sqlite)
        }
    }
}

fn is_of_pairs(url: &str) -> bool {
    const NAMES: [&str; 4] = ["host", "hostaddr", "dbname", "user"];
    let mut pairs = url.split_whitespace().filter_map(|pair| pair.split_once('='));
    pairs.any(|(name, _)| NAMES.contains(&name))
}

fn decoded(text: &str) -> String {
    let bytes: Cow<'_, [u8]> = percent_decode_str(text).into();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_its_server_and_never_its_user() {
        for (url, system, host, port, database) in [
            (
                "postgres://joe:secret@db:5433/shop?sslmode=require",
                System::PostgreSql,
                Some("db"),
                Some(5433),
                Some("shop"),
            ),
            (
                "postgresql://db/my%20shop",
                System::PostgreSql,
                Some("db"),
                Some(5432),
                Some("my shop"),
            ),
            (
                "postgres:///shop?host=%2Frun%2Fpg&port=5434",
                System::PostgreSql,
                Some("/run/pg"),
                Some(5434),
                Some("shop"),
            ),
            (
                "postgres://[::1]/",
                System::PostgreSql,
                Some("::1"),
                Some(5432),
                None,
            ),
            (
                "postgres://one:1,two:2/shop",
                System::PostgreSql,
                None,
                None,
                None,
            ),
            (
                "host=db port=6 dbname=shop password=secret",
                System::PostgreSql,
                Some("db"),
                Some(6),
                Some("shop"),
            ),
            (
                "mysql://joe:secret@db/shop",
                System::MySql,
                Some("db"),
                Some(3306),
                Some("shop"),
            ),
            (
                "/var/lib/joe/shop.db?mode=ro",
                System::Sqlite,
                None,
                None,
                Some("shop.db"),
            ),
            ("file:shop.db", System::Sqlite, None, None, Some("file:shop.db")),
            (":memory:", System::Sqlite, None, None, Some(":memory:")),
        ] {
            let expected = Address {
                system,
                host: host.map(str::to_owned),
                port,
                database: database.map(str::to_owned),
            };
            assert_eq!(Address::of_url(url), expected, "{url}");
        }
    }
}

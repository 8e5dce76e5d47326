//! The connection: the official `clickhouse` crate over HTTP or HTTPS.
//!
//! TLS is rustls with ring and the webpki roots; the crate names its crypto provider itself, so nothing
//! has to be installed for the process. A client is cheap to clone and keeps a pool of connections.

use std::time::Duration;

use clickhouse::Compression;
use clickhouse::query::BytesCursor;

use crate::error::{Place, StoreError};

/// The oldest ClickHouse that netfault is written for (the 24.8 long-term release).
pub const OLDEST: (u32, u32) = (24, 8);

/// No question of ours takes longer; an insert has its own limit.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the store is. `url` is `http://host:8123` or `https://…`; an empty `user` means `default`.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreTarget {
    pub url: String,
    pub user: String,
    pub password: String,
    pub database: String,
}

impl std::fmt::Debug for StoreTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The password stays out of logs.
        write!(f, "{}@{}/{}", self.user, self.url, self.database)
    }
}

/// A client of one database.
#[derive(Clone)]
pub struct Client {
    http: clickhouse::Client,
    place: Place,
}

impl Client {
    /// Opens nothing yet.
    pub fn new(target: &StoreTarget) -> Self {
        let user = if target.user.is_empty() {
            "default"
        } else {
            &target.user
        };
        let mut http = clickhouse::Client::default()
            .with_url(&target.url)
            .with_user(user)
            .with_compression(Compression::Lz4)
            .with_product_info("netfault", env!("CARGO_PKG_VERSION"));
        if !target.password.is_empty() {
            http = http.with_password(&target.password);
        }
        let place = Place {
            url: target.url.clone(),
            user: user.to_owned(),
            database: target.database.clone(),
        };
        Client { http, place }
    }

    /// Asks the server for its version and for the database. Errors name what is wrong: unreachable,
    /// refused, too old, database missing.
    pub async fn connect(target: &StoreTarget) -> Result<Self, StoreError> {
        let client = Client::connect_server(target).await?;
        let found = client
            .rows_of(
                client
                    .server_query("SELECT name FROM system.databases WHERE name = {db:String}")
                    .param("db", &client.place.database),
            )
            .await?;
        if found.is_empty() {
            let Place { url, database, .. } = client.place;
            return Err(StoreError::DatabaseMissing { url, database });
        }
        Ok(client)
    }

    /// As [`Client::connect`], but the database need not be there yet: for `db migrate`.
    pub async fn connect_server(target: &StoreTarget) -> Result<Self, StoreError> {
        let client = Client::new(target);
        let asked = client.version();
        let version =
            tokio::time::timeout(CONNECT_TIMEOUT, asked)
                .await
                .map_err(|_| StoreError::Unreachable {
                    url: client.place.url.clone(),
                    reason: format!("no answer within {} s", CONNECT_TIMEOUT.as_secs()),
                })??;
        if is_too_old(&version) {
            return Err(StoreError::TooOld {
                url: client.place.url.clone(),
                found: version,
                needed: format!("{}.{}", OLDEST.0, OLDEST.1),
            });
        }
        Ok(client)
    }

    /// The server's version, such as `26.7.3.1`.
    pub async fn version(&self) -> Result<String, StoreError> {
        #[derive(serde::Deserialize)]
        struct Version {
            version: String,
        }
        let rows: Vec<Version> = self
            .fetch(self.server_query("SELECT version() AS version"))
            .await?;
        rows.into_iter()
            .next()
            .map(|row| row.version)
            .ok_or_else(|| StoreError::Unreadable("no version in the answer".to_owned()))
    }

    pub fn database(&self) -> &str {
        &self.place.database
    }

    pub fn url(&self) -> &str {
        &self.place.url
    }

    /// A statement that is not bound to the database. `?` stands for itself.
    pub(crate) fn server_query(&self, sql: &str) -> clickhouse::query::Query {
        self.http.query_raw(sql)
    }

    /// A statement inside of the database. `?` stands for itself; values are bound as `{name:Type}`.
    pub(crate) fn query(&self, sql: &str) -> clickhouse::query::Query {
        self.http
            .clone()
            .with_database(&self.place.database)
            .query_raw(sql)
    }

    pub(crate) async fn run(&self, query: clickhouse::query::Query) -> Result<(), StoreError> {
        query.execute().await.map_err(|error| self.sort(error))
    }

    /// All rows of a query, as serde types. Times come as RFC 3339, as [`netfault_model::Time`] reads them.
    pub(crate) async fn fetch<T: serde::de::DeserializeOwned>(
        &self,
        query: clickhouse::query::Query,
    ) -> Result<Vec<T>, StoreError> {
        let query = query
            .with_setting("date_time_output_format", "iso")
            .with_setting("output_format_json_quote_64bit_integers", "0");
        let mut cursor = query
            .fetch_bytes("JSONEachRow")
            .map_err(|error| self.sort(error))?;
        let bytes = cursor.collect().await.map_err(|error| self.sort(error))?;
        bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| {
                serde_json::from_slice(line).map_err(|error| StoreError::Unreadable(error.to_string()))
            })
            .collect()
    }

    async fn rows_of(&self, query: clickhouse::query::Query) -> Result<Vec<serde_json::Value>, StoreError> {
        self.fetch(query).await
    }

    /// What a person typed, in any format of ClickHouse, as a stream of bytes: nothing is held whole.
    pub fn sql(&self, text: &str, format: &str) -> Result<SqlStream, StoreError> {
        let cursor = self
            .query(text)
            .fetch_bytes(format)
            .map_err(|error| self.sort(error))?;
        Ok(SqlStream {
            cursor,
            place: self.place.clone(),
        })
    }

    pub(crate) fn sort(&self, error: clickhouse::error::Error) -> StoreError {
        self.place.sort(error)
    }

    /// For inserts: the crate's client with the database set and no compression of its own.
    pub(crate) fn raw(&self) -> clickhouse::Client {
        self.http
            .clone()
            .with_database(&self.place.database)
            .with_compression(Compression::None)
    }
}

/// The answer to [`Client::sql`], piece by piece.
pub struct SqlStream {
    cursor: BytesCursor,
    place: Place,
}

impl SqlStream {
    /// The next piece; `None` at the end. ClickHouse can fail after the first pieces were sent.
    pub async fn next(&mut self) -> Result<Option<bytes::Bytes>, StoreError> {
        self.cursor.next().await.map_err(|error| self.place.sort(error))
    }
}

/// True if `version` can be read and is older than [`OLDEST`]. An unreadable one gets the benefit.
fn is_too_old(version: &str) -> bool {
    let mut parts = version.split('.').map(|part| part.parse::<u32>());
    match (parts.next(), parts.next()) {
        (Some(Ok(year)), Some(Ok(month))) => (year, month) < OLDEST,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert!(is_too_old("23.12.1.1"));
        assert!(is_too_old("24.3.9.1"));
        assert!(!is_too_old("24.8.1.1"));
        assert!(!is_too_old("24.10.1.1"));
        assert!(!is_too_old("26.7.3.1"));
    }

    #[test]
    fn a_target_does_not_print_its_password() {
        let target = StoreTarget {
            url: "http://127.0.0.1:8123".into(),
            user: "u".into(),
            password: "secret".into(),
            database: "netfault".into(),
        };
        assert!(!format!("{target:?}").contains("secret"));
    }
}

//! The ClickHouse of the configuration: a server somewhere, or the embedded engine as a child process.

use std::time::Duration;

use netfault_store::embedded::{self, Supervised, SupervisedOptions};
use netfault_store::migrate::{self, MigrateError};
use netfault_store::{Client, Retention, StoreError, StoreTarget};

use crate::config::{Config, Engine, SecretRef, Store};
use crate::exit::{Failure, Result, sentence};

/// A store that answers. The embedded engine lives as long as this does.
pub struct OpenStore {
    pub target: StoreTarget,
    retention: Retention,
    supervised: Option<Supervised>,
}

/// The store section, or why there is nothing to ask.
pub fn section(config: &Config) -> Result<&Store> {
    config.store.as_ref().ok_or_else(|| {
        Failure::config("the configuration has no store: give `store.embedded: DIR` or `store.url: http://…`")
    })
}

/// Where it is, if it needs no starting: for who can do without it. Whether it answers is not known.
pub fn running(store: &Store) -> Option<StoreTarget> {
    match &store.engine {
        Engine::Server { url, user, password } => Some(at_server(store, url, user, password.as_ref())),
        Engine::Embedded { dir, .. } => embedded::serving(dir).map(|bound| StoreTarget {
            url: bound.url,
            user: bound.user,
            password: bound.password,
            database: store.database.clone(),
        }),
    }
}

fn at_server(store: &Store, url: &str, user: &str, password: Option<&SecretRef>) -> StoreTarget {
    StoreTarget {
        url: url.to_owned(),
        user: user.to_owned(),
        password: password
            .map(|secret| secret.reveal().to_owned())
            .unwrap_or_default(),
        database: store.database.clone(),
    }
}

impl OpenStore {
    /// Starts the embedded engine if that is what is configured; a server is not asked yet.
    pub async fn open(store: &Store) -> Result<Self> {
        match &store.engine {
            Engine::Server { url, user, password } => Ok(OpenStore {
                target: at_server(store, url, user, password.as_ref()),
                retention: store.retention.clone(),
                supervised: None,
            }),
            Engine::Embedded { dir, listen, libchdb } => {
                // Said here and not by the child: it is the first thing that a new user meets.
                embedded::find(libchdb.as_deref()).map_err(|error| Failure::unavailable(sentence(&error)))?;
                let mut options = SupervisedOptions::new(dir);
                options.listen = *listen;
                options.libchdb = libchdb.clone();
                let supervised = Supervised::start(options)
                    .await
                    .map_err(|error| Failure::unavailable(sentence(&error)))?;
                Ok(OpenStore {
                    target: StoreTarget {
                        url: supervised.url().to_owned(),
                        user: supervised.user().to_owned(),
                        password: supervised.password().to_owned(),
                        database: store.database.clone(),
                    },
                    retention: store.retention.clone(),
                    supervised: Some(supervised),
                })
            }
        }
    }

    /// For who only asks or says a word. The engine lets one process into its folder: if a service or a `db serve` of
    /// this user has it, this goes through that one; else as [`open`](Self::open).
    pub async fn join(store: &Store) -> Result<Self> {
        if let Engine::Embedded { .. } = &store.engine
            && let Some(target) = running(store)
            // What a killed process left behind does not answer.
            && Client::connect_server(&target).await.is_ok()
        {
            return Ok(OpenStore {
                target,
                retention: store.retention.clone(),
                supervised: None,
            });
        }
        OpenStore::open(store).await
    }

    /// Brings the tables up to date, and connects. For who only asks: how long rows are kept stays as it is.
    pub async fn migrated(&self) -> Result<Client> {
        self.try_migrate()
            .await
            .map_err(|error| Failure::unavailable(sentence(&error)))
    }

    /// As [`migrated`](Self::migrated), and from now on rows are kept as long as the configuration says.
    pub async fn prepared(&self) -> Result<Client> {
        self.try_prepare()
            .await
            .map_err(|error| Failure::unavailable(sentence(&error)))
    }

    async fn try_prepare(&self) -> Result<Client, MigrateError> {
        let client = self.try_migrate().await?;
        let changed = self.retention.apply(&client).await?;
        if !changed.is_empty() {
            tracing::info!(
                tables = changed.join(", "),
                "rows are kept for another time from now on"
            );
        }
        Ok(client)
    }

    async fn try_migrate(&self) -> Result<Client, MigrateError> {
        let server = Client::connect_server(&self.target).await?;
        let applied = migrate::apply(&server).await?;
        tracing::debug!(migrations = applied.len(), "tables are up to date");
        Ok(Client::connect(&self.target).await?)
    }

    /// The first attempt of a service. `None`: the store is down and may come up (see
    /// [`migrated_when_up`](Self::migrated_when_up)).
    pub async fn migrated_if_up(&self) -> Result<Option<Client>> {
        match self.try_prepare().await {
            Ok(client) => Ok(Some(client)),
            Err(error) if passes(&error) => Ok(None),
            Err(error) => Err(Failure::unavailable(sentence(&error))),
        }
    }

    /// A server may still be down when the service starts, or go down at any moment: it tries again, and the spool
    /// keeps what comes. A refusal that waiting does not mend ends it.
    pub async fn migrated_when_up(&self) -> Result<Client> {
        let mut wait = Duration::from_secs(1);
        loop {
            match self.try_prepare().await {
                Err(error) if passes(&error) => {
                    tracing::warn!(
                        "{}; trying again in {} s, the spool keeps what comes",
                        sentence(&error),
                        wait.as_secs()
                    );
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(Duration::from_secs(30));
                }
                done => return done.map_err(|error| Failure::unavailable(sentence(&error))),
            }
        }
    }

    /// Ends the embedded engine in good order.
    pub async fn close(self) {
        if let Some(supervised) = self.supervised {
            supervised.shutdown().await;
        }
    }
}

/// True for what a server that is down or going down says. What a person has to mend ends the service at its start.
fn passes(error: &MigrateError) -> bool {
    match error {
        MigrateError::Store(source) | MigrateError::Failed { source, .. } => {
            matches!(source, StoreError::Unreachable { .. } | StoreError::TimedOut)
        }
        _ => false,
    }
}

pub fn store_failure(error: StoreError) -> Failure {
    Failure::unavailable(sentence(&error))
}

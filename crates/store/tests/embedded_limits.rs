//! The embedded server inside this process: how it refuses more than it can take, and how it ends.

use netfault_store::embedded::{Limits, ServeOptions, find, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_queries_are_refused_with_clickhouses_code() {
    if let Err(error) = find(None) {
        println!("SKIPPED: too_many_queries_are_refused_with_clickhouses_code: {error}");
        eprintln!("SKIPPED: too_many_queries_are_refused_with_clickhouses_code: {error}");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut options = ServeOptions::new(dir.path());
    options.limits = Limits {
        running: 2,
        waiting: 1,
    };
    options.password = Some("chosen".to_owned());
    let running = start(options).await.unwrap();
    let client = clickhouse::Client::default()
        .with_url(&running.bound.url)
        .with_user("netfault")
        .with_password("chosen");
    let asked: Vec<_> = (0..10)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.query("SELECT sleep(1)").execute().await })
        })
        .collect();
    let (mut served, mut refused) = (0, 0);
    for answer in asked {
        match answer.await.unwrap() {
            Ok(()) => served += 1,
            Err(error) => {
                let text = error.to_string();
                assert!(
                    text.contains("Code: 202. DB::Exception: Too many simultaneous queries. Maximum: 3"),
                    "{text}"
                );
                refused += 1;
            }
        }
    }
    assert!(served >= 3 && refused >= 1, "{served} served, {refused} refused");
    client.query("SELECT 1").execute().await.unwrap();

    // A query that would run for hours does not keep the server from ending.
    let endless = "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(sipHash64(number))";
    let endless = tokio::spawn(client.query(endless).execute());
    let mut seen = 0_u64;
    while seen == 0 {
        assert!(!endless.is_finished());
        let running = "SELECT count() FROM system.processes WHERE query NOT LIKE '%system.processes%'";
        seen = client.query(running).fetch_one().await.unwrap();
    }
    let since = std::time::Instant::now();
    running.shutdown().await;
    assert!(since.elapsed().as_secs() < 25, "{:?}", since.elapsed());
    assert!(endless.await.unwrap().is_err());
    assert!(
        client.query("SELECT 1").execute().await.is_err(),
        "nobody listens any more"
    );
}

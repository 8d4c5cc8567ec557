//! Encrypted connections: who is believed, by `sslmode`.

mod support {
    pub mod server;
}

use potter_postgres::PostgresStore;

use support::server::Server;

async fn refusal(dsn: String) -> String {
    match PostgresStore::open(&dsn).await {
        Ok(_) => panic!("opened: {dsn}"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn every_sslmode_does_what_it_says() {
    let server = Server::start();
    let without = format!("{}&sslmode=require", server.dsn());
    assert!(refusal(without).await.contains("TLS"), "the server has no certificate yet");
    let authority = server.encrypt();
    let authority = authority.display();
    for parameters in ["", "&sslmode=require", &format!("&sslmode=verify-ca&sslrootcert={authority}")] {
        PostgresStore::open(&format!("{}{parameters}", server.dsn())).await.expect(parameters);
    }
    // The certificate is for `localhost`, not for the address that the DSN names.
    let full = format!("sslmode=verify-full&sslrootcert={authority}");
    assert!(refusal(format!("{}&{full}", server.dsn())).await.contains("not valid for name"));
    let by_name = server.dsn().replace("127.0.0.1", "localhost");
    PostgresStore::open(&format!("{by_name}&{full}")).await.expect("the name is right");
    let unknown = refusal(format!("{by_name}&sslmode=verify-full")).await;
    assert!(unknown.contains("UnknownIssuer"), "no authority of the system has signed it: {unknown}");
    let missing = refusal(format!("{by_name}&sslmode=verify-ca&sslrootcert=no/such.pem")).await;
    assert!(missing.contains("sslrootcert=no/such.pem"), "{missing}");
}

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use freehold_gateway::Table;
use http_body_util::BodyExt as _;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::around::{CLOUD, House, LONG, Server, cloud, get, get1, said, task};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_under_load_loses_no_request() {
    let (one, two) = (
        Server::new(|_| async { said(200, "one") }).await,
        Server::new(|_| async { said(200, "two") }).await,
    );
    let house = Arc::new(House::open(vec![cloud(&[one.at])]));
    let (done, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let failed = Arc::new(AtomicUsize::new(0));
    let mut clients = Vec::new();
    for client in 0..6 {
        let (house, done, answered) = (Arc::clone(&house), Arc::clone(&done), Arc::clone(&answered));
        let failed = Arc::clone(&failed);
        clients.push(task(async move {
            let (mut http1, _one) = house.http1().await;
            let (mut http2, _two) = house.http2().await;
            while !done.load(Ordering::Relaxed) {
                let answer = if client % 2 == 0 {
                    http1.send_request(get1("/")).await
                } else {
                    http2.send_request(get("/")).await
                };
                let whole = match answer {
                    Ok(answer) => answer.status() == 200 && answer.into_body().collect().await.is_ok(),
                    Err(_) => false,
                };
                let count = if whole { &answered } else { &failed };
                count.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    for round in 0..200 {
        let at = if round % 2 == 0 { two.at } else { one.at };
        let before = answered.load(Ordering::Relaxed);
        house.door.swap(Table::new(vec![cloud(&[at])]).unwrap());
        crate::around::until("requests", || {
            answered.load(Ordering::Relaxed) + failed.load(Ordering::Relaxed) > before + 2
        })
        .await;
    }
    done.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(failed.load(Ordering::Relaxed), 0);
    assert!(house.shown().classes[1] >= answered.load(Ordering::Relaxed) as u64, "what was counted goes on");
    assert_eq!(house.curl(CLOUD, "/", &[]).await.text(), "one");
}

#[tokio::test]
async fn what_is_under_way_ends_as_it_began_and_new_requests_see_the_new_table() {
    let (gate, came) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let slow = {
        let (gate, came) = (Arc::clone(&gate), Arc::clone(&came));
        Server::new(move |_| {
            let (gate, came) = (Arc::clone(&gate), Arc::clone(&came));
            async move {
                came.add_permits(1);
                gate.acquire().await.unwrap().forget();
                said(200, "slow")
            }
        })
        .await
    };
    let echo = Server::echo().await;
    let house = House::open(vec![cloud(&[slow.at])]);
    let (mut client, _task) = house.http2().await;
    let first = client.send_request(get("/first"));
    came.acquire().await.unwrap().forget();
    house.door.swap(Table::new(vec![cloud(&[echo.at])]).unwrap());
    assert!(house.curl(CLOUD, "/", &[]).await.text().starts_with("GET "));
    gate.add_permits(1);
    let first = first.await.unwrap().into_body().collect().await.unwrap();
    assert_eq!(first.to_bytes(), "slow");
}

#[tokio::test]
async fn a_door_that_closes_lets_requests_end_and_takes_nobody_in() {
    let (gate, came) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let slow = {
        let (gate, came) = (Arc::clone(&gate), Arc::clone(&came));
        Server::new(move |_| {
            let (gate, came) = (Arc::clone(&gate), Arc::clone(&came));
            async move {
                came.add_permits(1);
                gate.acquire().await.unwrap().forget();
                said(200, "whole")
            }
        })
        .await
    };
    let house = House::open(vec![cloud(&[slow.at])]);
    let at = house.at();
    let (mut one, _one) = house.http1().await;
    let (mut two, _two) = house.http2().await;
    let answers = task(async move {
        let both = futures::future::join(one.send_request(get1("/")), two.send_request(get("/"))).await;
        for answer in [both.0, both.1] {
            assert_eq!(answer.unwrap().into_body().collect().await.unwrap().to_bytes(), "whole");
        }
    });
    came.acquire_many(2).await.unwrap().forget();
    let closing = task(house.door.close());
    let shut = async {
        while TcpStream::connect(at).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LONG, shut).await.expect("nobody is taken in");
    gate.add_permits(2);
    answers.await.unwrap();
    tokio::time::timeout(LONG, closing).await.expect("it closes").unwrap();
}

//! What the shop does; a test runs it as well.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use freehold_api::kv::{KvIndex, NewKvDatabase};
use freehold_api::{Client, Problem};
use freehold_kv_client::Database;
use futures::{StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Lamp {
    name: String,
    price: u32,
    about: String,
}

/// Does what a shop does.
pub(crate) async fn run(socket: &Path) -> Result<()> {
    let client = Client::over_socket(socket);
    let wish = NewKvDatabase { name: "lamps".into(), copies: 1, confirm: 1 };
    freehold_kv_client::create(&client, &wish).await?;
    let shop = Database::of(&client, "lamps");

    // Keys, and a write that happens as a whole.
    let first = shop.put("greeting", "good morning").await?;
    shop.batch().if_version("greeting", first.number).put("greeting", "hello").delete("gone").write().await?;
    let greeting = shop.get("greeting").await?.context("it was just put")?;
    ensure!(greeting.value == "hello" && shop.get("nothing").await?.is_none());
    ensure!(Database::of(&client, "no-such").get("greeting").await.is_err(), "that is no empty answer");

    // Documents as structs, by field and by word.
    let lamps = shop.collection::<Lamp>("lamps");
    for (id, name, price, about) in [
        ("desk", "Desk", 30, "A lamp of oak for the desk."),
        ("tall", "Tall", 80, "Stands on the floor. Oak, oak, and again oak!"),
        ("tin", "Tin", 10, "For the garden."),
    ] {
        lamps.put(id, &Lamp { name: name.into(), price, about: about.into() }).await?;
    }
    let words =
        KvIndex { name: "words".into(), fields: vec!["about".into()], text: true, ..KvIndex::default() };
    lamps.add_index(&words).await?;
    let cheap: Vec<_> = lamps.all("where price < 50 order by price").try_collect().await?;
    ensure!(cheap.iter().map(|lamp| lamp.id.as_str()).eq(["tin", "desk"]), "{cheap:?}");
    lamps.until_whole("words").await?;
    let oak = lamps.page("where about matches \"oak\" order by $score desc", None).await?.documents;
    ensure!(oak.iter().map(|lamp| lamp.value.name.as_str()).eq(["Tall", "Desk"]), "{oak:?}");

    // Two tills sell from one stock: who is overtaken begins again.
    shop.put("stock", "20").await?;
    let till = async || {
        for _ in 0..10 {
            let sale = shop.transaction(async |sale| {
                let stock = sale.get("stock").await?.map_or(Ok(0), |stock| stock.json::<u32>())?;
                sale.put("stock", stock.saturating_sub(1).to_string()).await?;
                sale.put(&format!("sold/{stock:02}"), "a lamp").await
            });
            sale.await?;
        }
        Ok::<_, Problem>(())
    };
    let (one, other) = futures::join!(till(), till());
    one.and(other)?;
    let sold = shop.entries(freehold_api::kv::KvScan { prefix: "sold/".into(), ..Default::default() });
    let sold: Vec<_> = sold.try_collect().await?;
    ensure!(sold.len() == 20, "each was sold once: {sold:?}");

    // What happened, from the beginning.
    let events: Vec<_> = shop.watch(0).take(5).try_collect().await?;
    ensure!(events.first().is_some_and(|event| event.changes.iter().any(|one| one.key == "greeting")));
    shop.delete_all().await?;
    Ok(())
}

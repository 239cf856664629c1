//! A resource of a user, a dropped future, and many resources at once, under tokio.

use async_trait::async_trait;
use qrmi::models::{Payload, ResourceType};
use qrmi::{AnyResource, QrmiErrorKind, QuantumResource, Result};
use std::time::Duration;

struct Coin;

#[async_trait]
impl QuantumResource for Coin {
    async fn resource_id(&mut self) -> Result<String> {
        Ok("coin".into())
    }
    async fn resource_type(&mut self) -> Result<ResourceType> {
        Ok(ResourceType::OQTOPUS)
    }
    async fn is_accessible(&mut self) -> Result<bool> {
        Ok(true)
    }
    async fn release(&mut self, id: &str) -> Result<()> {
        assert_eq!(id, "token");
        Ok(())
    }
}

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let mut coin: Box<dyn QuantumResource> = Box::new(Coin);
    assert_eq!(coin.resource_id().await?, "coin");
    coin.release("token").await?;
    let error = coin.acquire().await.unwrap_err();
    assert_eq!(error.kind(), QrmiErrorKind::UnsupportedFunction);

    // A resource that cannot be made says so in every call.
    let mut none = AnyResource::new("x", "no-such-type");
    assert_eq!(none.acquire().await.unwrap_err().kind(), QrmiErrorKind::UnsupportedResourceType);

    let mut one = AnyResource::new("one", "bench")?;
    assert_eq!(one.resource_type().await?.as_str(), "bench");
    let error = one.task_result("queued").await.unwrap_err();
    assert_eq!(error.kind(), QrmiErrorKind::TaskNotReady);
    let status = one.status().await?;
    assert_eq!((status.healthy, status.busy, status.pending_job_count), (Some(true), None, Some(7)));
    let payload = Payload::Oqtopus { job_spec: "{}".into() };
    assert_eq!(one.task_start(payload).await.unwrap_err().kind(), QrmiErrorKind::UnsupportedPayload);

    // Dropped before it is done.
    let _ = tokio::time::timeout(Duration::from_nanos(1), one.status()).await;
    assert!(one.is_accessible().await?);

    let mut all = Vec::new();
    for number in 0..16 {
        all.push(tokio::spawn(async move {
            let mut own = AnyResource::new(&format!("many{number}"), "bench").unwrap();
            let token = own.acquire().await.unwrap();
            own.release(&token).await.unwrap();
            own.metadata().await["backend_name"].clone()
        }));
    }
    for (number, task) in all.into_iter().enumerate() {
        assert_eq!(task.await?, format!("many{number}"));
    }
    println!("done");
    Ok(())
}

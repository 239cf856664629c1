//! A program for the published crate, as its users have it, under tokio.

use qrmi::{ibm::IBMDirectAccess, models::Payload, models::TaskStatus, QuantumResource};

struct Args {
    backend: String,
    program_id: String,
}

fn arguments() -> (Args, String) {
    let mut words = std::env::args().skip(1);
    let args = Args { backend: words.next().unwrap(), program_id: words.next().unwrap() };
    (args, std::fs::read_to_string(words.next().unwrap()).unwrap())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (args, contents) = arguments();
    let mut qrmi = IBMDirectAccess::new(&args.backend);
    let lock = qrmi.acquire().await?;
    let target = qrmi.target().await;
    let payload = Payload::QiskitPrimitive { input: contents, program_id: args.program_id };
    let job_id = qrmi.task_start(payload).await?;
    let status = qrmi.task_status(&job_id).await?;
    if matches!(status, TaskStatus::Completed) { println!("{}", qrmi.task_result(&job_id).await?.value); }
    // Beyond the published program: wait for the end.
    assert!(target.is_ok());
    loop {
        match qrmi.task_status(&job_id).await? {
            TaskStatus::Completed => break,
            TaskStatus::Failed | TaskStatus::Cancelled => panic!("it failed"),
            _ => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
        }
    }
    println!("{}", qrmi.task_result(&job_id).await?.value);
    let _ = qrmi.task_stop(&job_id).await;
    let _ = qrmi.release(&lock).await;
    Ok(()) }

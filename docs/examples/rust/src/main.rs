//! One task on a simulator of this machine, without an executor of others.

use qrmi::models::{Payload, TaskStatus};
use qrmi::{AnyResource, QuantumResource};
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

const INPUT: &str = r#"{"version": 2, "support_qiskit": false, "pubs": [["OPENQASM 3.0; include
 \"stdgates.inc\"; bit[2] c; qubit[2] q; h q[0]; cx q[0], q[1]; c = measure q;", null, 100]]}"#;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Run a future on this thread.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = Box::pin(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

async fn run(name: &str, kind: &str) -> qrmi::Result<()> {
    let mut qpu = AnyResource::new(name, kind)?;
    let token = qpu.acquire().await?;
    let payload = Payload::QiskitPrimitive {
        input: INPUT.replace('\n', ""),
        program_id: "sampler".into(),
    };
    let task = qpu.task_start(payload).await?;
    while matches!(qpu.task_status(&task).await?, TaskStatus::Queued | TaskStatus::Running) {
        thread::sleep(Duration::from_millis(200));
    }
    println!("{}", qpu.task_result(&task).await?.value);
    qpu.task_stop(&task).await?;
    qpu.release(&token).await
}

fn main() {
    let mut words = std::env::args().skip(1);
    let name = words.next().unwrap_or_else(|| "aer".into());
    let kind = words.next().unwrap_or_else(|| "local".into());
    if let Err(error) = block_on(run(&name, &kind)) {
        eprintln!("{error}");
        std::process::exit(1);
    }
}

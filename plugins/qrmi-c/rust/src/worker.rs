//! Futures that any executor can run: the work is done on a thread of its own, which wakes them.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

struct Shared<T> {
    value: Option<T>,
    waker: Option<Waker>,
}

struct Work<T>(Arc<Mutex<Shared<T>>>);

impl<T> Future for Work<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let mut shared = self.0.lock().unwrap();
        match shared.value.take() {
            Some(value) => Poll::Ready(value),
            None => {
                shared.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Do work that waits. If the future is dropped, the work is finished all the same.
pub(crate) async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let shared = Arc::new(Mutex::new(Shared { value: None, waker: None }));
    let place = shared.clone();
    let thread = std::thread::spawn(move || {
        let value = work();
        let mut shared = place.lock().unwrap();
        shared.value = Some(value);
        if let Some(waker) = shared.waker.take() {
            drop(shared);
            waker.wake();
        }
    });
    drop(thread);
    Work(shared).await
}

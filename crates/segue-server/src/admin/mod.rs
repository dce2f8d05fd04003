//! The HTTP side: the admin API, and the health of the public listener. One thread with a runtime of its own: a slow
//! client of the API holds up no media. What the routes answer is in `routes`.

mod guard;
mod reply;
mod routes;

use std::io;
use std::net::TcpListener;
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use crate::handle::Handle;

pub use routes::{admin_router, public_router};

/// The API's thread.
#[derive(Debug)]
pub(crate) struct Api {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Api {
    /// Ends it. Requests under way are dropped.
    pub(crate) fn stop(mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the API panicked");
        }
    }
}

/// Serves the API on the listeners given.
pub(crate) fn spawn(
    handle: Handle,
    admin: Option<TcpListener>,
    public: Option<TcpListener>,
) -> io::Result<Api> {
    if admin.is_none() && public.is_none() {
        return Ok(Api { stop: None, thread: None });
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let listeners: Vec<_> = {
        let _inside = runtime.enter();
        let admin = admin.map(|listener| (listener, admin_router(handle.clone())));
        let public = public.map(|listener| (listener, public_router(handle)));
        [admin, public]
            .into_iter()
            .flatten()
            .map(|(listener, router)| Ok((tokio::net::TcpListener::from_std(listener)?, router)))
            .collect::<io::Result<_>>()?
    };
    let thread = std::thread::Builder::new().name("api".into()).spawn(move || {
        runtime.block_on(async move {
            for (listener, router) in listeners {
                tokio::spawn(async move {
                    if let Err(error) = axum::serve(listener, router).await {
                        tracing::error!(%error, "the API stopped");
                    }
                });
            }
            // An error is the sender being dropped: the same order.
            let _ = stopped.await;
        });
    })?;
    Ok(Api { stop: Some(stop), thread: Some(thread) })
}

//! What has to be done now and then, whoever asks: writing down when devices were last here, and tidying up.

use base::shutdown::Shutdown;
use base::{Clock, limits, task};
use tokio::task::JoinHandle;

use crate::http::AppState;

/// Does them until `stop`.
pub(crate) fn start(state: AppState, stop: Shutdown) -> JoinHandle<()> {
    task::spawn(async move {
        tokio::join!(upkeep(&state, &stop), expire_presence(&state, &stop));
    })
}

/// Says in time who has gone.
async fn expire_presence(state: &AppState, stop: &Shutdown) {
    let clock = state.store.clock();
    let mut stop = stop.clone();
    while clock.timeout(limits::PRESENCE_EVERY, stop.started()).await.is_none() {
        state.accounts.presence().expire();
    }
}

async fn upkeep(state: &AppState, stop: &Shutdown) {
    let clock = state.store.clock().clone();
    // Of several processes on one store, each has a name of its own for the leases.
    let holder = format!("process {:016x}", state.store.random().next_u64());
    let mut rounds: u32 = 0;
    while !stopped_within(&clock, stop.clone()).await {
        rounds = rounds.wrapping_add(1);
        if let Err(error) = state.accounts.flush_seen().await {
            tracing::warn!(%error, "when devices were last here could not be stored");
        }
        if rounds.is_multiple_of(limits::CHORES_BETWEEN_COLLECTIONS) {
            sweep_keys(state).await;
        }
        if rounds.is_multiple_of(limits::CHORES_BETWEEN_COLLECTIONS)
            && let Err(error) = state.media.collect(&holder).await
        {
            tracing::warn!(%error, "unused media could not be removed");
        }
    }
}

/// Removes what devices that are gone, key backups and requests of days past have left behind.
async fn sweep_keys(state: &AppState) {
    if let Err(error) = state.accounts.sweep_leftovers().await {
        tracing::warn!(%error, "what devices left behind could not be removed");
    }
    if let Err(error) = state.accounts.forget_sent_to_device().await {
        tracing::warn!(%error, "old transaction ids could not be removed");
    }
}

/// Waits for the next round; true when there is none.
async fn stopped_within(clock: &Clock, mut stop: Shutdown) -> bool {
    clock.timeout(limits::CHORES_EVERY, stop.started()).await.is_some()
}

//! The Lua scripts, each atomic and one round trip. What they do and return stands at the head of each file.

use std::sync::LazyLock;

use redis::Script;

/// All share `job.lua`, which knows how a job must look to be fetched.
macro_rules! script {
    ($file:literal) => {
        LazyLock::new(|| Script::new(concat!(include_str!("../lua/job.lua"), include_str!($file))))
    };
}

pub(crate) static ENQUEUE: LazyLock<Script> = script!("../lua/enqueue.lua");
pub(crate) static QUEUED: LazyLock<Script> = script!("../lua/queued.lua");
pub(crate) static STATS: LazyLock<Script> = script!("../lua/stats.lua");
pub(crate) static CLEAN_UP: LazyLock<Script> = script!("../lua/clean_up.lua");
pub(crate) static UPKEEP: LazyLock<Script> = script!("../lua/upkeep.lua");
pub(crate) static RELEASE: LazyLock<Script> = script!("../lua/release.lua");
pub(crate) static REPAIR: LazyLock<Script> = script!("../lua/repair.lua");

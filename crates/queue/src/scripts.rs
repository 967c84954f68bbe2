//! The Lua scripts. Each is atomic and takes one round trip; the head of each file documents its arguments
//! and result.

use std::sync::LazyLock;

use redis::Script;

/// Every script begins with the functions of `job.lua`.
macro_rules! script {
    ($file:literal) => {
        LazyLock::new(|| Script::new(concat!(include_str!("../lua/job.lua"), include_str!($file))))
    };
}

pub(crate) static ENQUEUE: LazyLock<Script> = script!("../lua/enqueue.lua");
pub(crate) static ENQUEUE_LATER: LazyLock<Script> = script!("../lua/enqueue_later.lua");
pub(crate) static MOVE_DUE: LazyLock<Script> = script!("../lua/move_due.lua");
pub(crate) static FAIL: LazyLock<Script> = script!("../lua/fail.lua");
pub(crate) static DEAD_LETTERS: LazyLock<Script> = script!("../lua/dead_letters.lua");
pub(crate) static REDRIVE: LazyLock<Script> = script!("../lua/redrive.lua");
pub(crate) static DELETE_DEAD_LETTERS: LazyLock<Script> = script!("../lua/delete_dead_letters.lua");
pub(crate) static QUEUED: LazyLock<Script> = script!("../lua/queued.lua");
pub(crate) static REPORT: LazyLock<Script> = script!("../lua/report.lua");
pub(crate) static REPORTS: LazyLock<Script> = script!("../lua/reports.lua");
pub(crate) static STATS: LazyLock<Script> = script!("../lua/stats.lua");
pub(crate) static CLEAN_UP: LazyLock<Script> = script!("../lua/clean_up.lua");
pub(crate) static UPKEEP: LazyLock<Script> = script!("../lua/upkeep.lua");
pub(crate) static DEREGISTER: LazyLock<Script> = script!("../lua/deregister.lua");
pub(crate) static REPAIR: LazyLock<Script> = script!("../lua/repair.lua");

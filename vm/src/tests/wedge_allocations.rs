//! Whether wedging allocates, by the kernel's own trace of every allocation.

use lifeboat_gpu_server::control::Fault;

use crate::guest::agent::{Agent, AgentError};
use crate::pace;
use crate::program::Program;
use crate::suite::bench::Bench;
use crate::suite::failure::{Failure, expect};
use crate::suite::test::Test;
use crate::tests::ACPI_GPU;
use crate::tests::drm::desk::Desk;

/// The tests.
pub const TESTS: &[Test] = &[Test {
    name: "wedging_allocates_nothing",
    shows: "a GPU at work is wedged; by the kernel's trace nothing that may fail or sleep is allocated but the event's message",
    proves: &["WEDGE-5"],
    plan: ACPI_GPU,
    alone: false,
    body: wedging_allocates_nothing,
}];

const TRACING: &str = "/sys/kernel/tracing";
/// Events that the kernel traces: allocations of every kind, and which work item a thread begins.
const EVENTS: [&str; 4] =
    ["kmem/kmalloc", "kmem/kmem_cache_alloc", "kmem/mm_page_alloc", "workqueue/workqueue_execute_start"];
/// In the symbol of the work item that carries out what becomes of a device.
const SLOT_WORK: &str = "lifeboat4slot4Slot";
/// The allocation of the event's message, which is the kernel's own, and the first after the cut.
const MESSAGE: &str = "kobject_uevent_env";
/// Bytes of the trace that are read at once.
const PIECE: usize = 100_000;

fn wedging_allocates_nothing(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let driver = bench.driver();
    let agent = &bench.machine.agent;
    driver.load("load=1 health_ms=100")?;
    driver.is_busy()?;
    let program = Program::start(agent)?;
    let desk = Desk::open(&program, &driver.nodes()?.render)?;
    desk.works()?;
    desk.memory.touch()?;
    desk.file.start_work(&desk.job, &desk.memory, crate::tests::drm::desk::PATTERN)?;
    for event in EVENTS {
        agent.write(&format!("{TRACING}/events/{event}/enable"), "1", pace::COMMAND)?;
    }
    bench.gpu()?.inject(Fault::StickHeartbeat, None)?;
    driver.wait_for_slot("wedged")?;
    agent.write(&format!("{TRACING}/tracing_on"), "0", pace::COMMAND)?;
    let trace = trace(agent)?;
    let wedging =
        wedging(&trace).ok_or_else(|| Failure::Unexpected("the trace does not show the wedging".to_owned()))?;
    let allocations: Vec<_> = wedging.into_iter().filter(|line| may_fail(line)).collect();
    expect(allocations.is_empty(), || format!("it allocated: {allocations:#?}"))?;
    Ok(program.kill()?)
}

fn trace(agent: &Agent) -> Result<String, AgentError> {
    let mut trace = Vec::new();
    loop {
        let piece = agent.read_bytes(&format!("{TRACING}/trace"), trace.len() as u64, PIECE)?;
        if piece.is_empty() {
            return Ok(String::from_utf8_lossy(&trace).into_owned());
        }
        trace.extend(piece);
    }
}

/// The allocations of the thread that wedged the device, from the beginning of its work to the event's message.
fn wedging(trace: &str) -> Option<Vec<&str>> {
    let lines: Vec<_> = trace.lines().collect();
    let began = lines.iter().rposition(|line| line.contains(SLOT_WORK))?;
    let thread = lines[began].split_whitespace().next()?;
    let its = lines[began + 1..].iter().filter(|line| line.split_whitespace().next() == Some(thread));
    let its: Vec<_> = its.copied().collect();
    let message = its.iter().position(|line| line.contains(MESSAGE))?;
    Some(its[..message].to_vec())
}

/// Whether an allocation is the module's, or may sleep. The kernel's own ones that do neither have a way out: the tree of
/// interrupt numbers, when one is given back.
fn may_fail(line: &str) -> bool {
    let at_once = line.contains("gfp_flags=GFP_NOWAIT") || line.contains("gfp_flags=GFP_ATOMIC");
    line.contains("[lifeboat]") || !at_once
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "kworker/u8:1-29 [000] 1.0: kmalloc: call_site=x bytes_req=1 gfp_flags=GFP_KERNEL node=-1";
    const BEGAN: &str =
        "kworker/u8:1-29 [000] 1.1: workqueue_execute_start: work struct 0: function _R8lifeboat4slot4Slot";
    const OTHER: &str = "kworker/u8:4-31 [001] 1.2: kmalloc: call_site=y bytes_req=1 gfp_flags=GFP_KERNEL node=-1";
    const TREE: &str =
        "kworker/u8:1-29 [000] 1.3: kmem_cache_alloc: call_site=mas_erase+0x8/0xa gfp_flags=GFP_NOWAIT node=-1";
    const OURS: &str =
        "kworker/u8:1-29 [000] 1.4: kmalloc: call_site=f+0x8/0xa [lifeboat] gfp_flags=GFP_NOWAIT node=-1";
    const EVENT: &str = "kworker/u8:1-29 [000] 1.5: kmalloc: call_site=kobject_uevent_env+0xd/0x8 gfp_flags=GFP_KERNEL";

    #[test]
    fn only_what_the_wedging_thread_allocates_before_the_message_counts() {
        let trace = [BEFORE, BEGAN, OTHER, TREE, OURS, EVENT, BEFORE].join("\n");
        assert_eq!(wedging(&trace), Some(vec![TREE, OURS]));
        assert!(!may_fail(TREE) && may_fail(OURS) && may_fail(BEFORE));
        assert_eq!(wedging(&[BEGAN, TREE].join("\n")), None);
    }
}

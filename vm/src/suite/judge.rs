//! What a kernel may not say while a driver of ours is in it.
//!
//! Anything the kernel complains about fails the test, whoever caused it: what only happens in our tests is ours until it is
//! shown not to be. The list holds what the kernel's reports *begin* with; what follows them (registers, addresses) is shown
//! with them and not judged.

use std::fmt;
use std::sync::LazyLock;

use regex::{Regex, RegexSet};

use crate::guest::machine::INIT_BEGINS;
use crate::pace::Flavour;

/// Each with what it stands for. Case matters: "kfence: initialized" is no complaint, "BUG: KFENCE" is one.
const COMPLAINTS: [(&str, &str); 27] = [
    (r"\bWARNING: ", "a warning"),
    (r"\bBUG: ", "a bug"),
    // SLUB: "BUG kmalloc-64 (Tainted: G): Poison overwritten".
    (r"\bBUG \S+ \(", "a corrupted slab"),
    (r"\bOops\b", "an oops"),
    (r"[Kk]ernel panic", "a panic"),
    (r"\bgeneral protection fault\b", "a wild access"),
    (r"\bKASAN: ", "a memory error"),
    (r"\bUBSAN: ", "undefined behaviour"),
    (r"[Uu]nable to handle", "a wild access"),
    (r"possible .* detected", "lockdep"),
    (r"INFO: task .* blocked for more than", "a hung task"),
    (r"INFO: .*detected (expedited )?stalls? ", "an RCU stall"),
    (r"rcu_\S+ .*(stall|kthread starved)", "an RCU stall"),
    (r"\b(soft|hard) (lockup|LOCKUP)\b", "a lockup"),
    (r"\brefcount_t: ", "a reference count"),
    (r"\bCall Trace:", "a stack"),
    (r"\b[Ll]eaked\b", "a leak"),
    (r"kmemleak: .*suspected", "a leak"),
    (r"unreferenced object 0x", "a leak"),
    (r"\bODEBUG: ", "a live object freed"),
    (r"\bDMA-API: .*(0x|leak|exceeded|debugging out of memory)", "a DMA mapping"),
    (r"\bDMAR: .*[Ff]ault", "a DMA fault"),
    (r"irq \d+: nobody cared", "an interrupt nobody handles"),
    (r"INFO: (trying to register non-static key|lockdep is turned off)", "lockdep"),
    (r"(list_add|list_del) corruption", "a corrupted list"),
    (r"\bwrong bytes\b", "a wrong result, says our driver"),
    // Our own first process, and the agent it looks after.
    (r"lifeboat-guest: |lifeboat-guest\[\d+\]|traps: ", "the guest's agent"),
];

static PATTERNS: LazyLock<RegexSet> = LazyLock::new(|| {
    #[allow(clippy::expect_used)] // constants, compiled by every test
    RegexSet::new(COMPLAINTS.map(|(pattern, _)| pattern)).expect("the patterns are valid")
});

/// A line that should not be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// Its number in the log, from 0.
    pub number: usize,
    /// What it stands for.
    pub kind: &'static str,
    /// The line.
    pub line: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in line {} of the kernel's log: {}", self.kind, self.number + 1, self.line)
    }
}

/// What a line complains of, if it does.
pub fn complains_of(line: &str) -> Option<&'static str> {
    PATTERNS.matches(line).iter().next().map(|first| COMPLAINTS[first].1)
}

/// What is wrong with a log, given that a test provokes some complaints on purpose: all that were not expected, and all
/// expected ones that are missing.
///
/// # Errors
/// Anything is wrong with it.
pub fn judge(log: &[String], expected: &[&str]) -> Result<(), Verdict> {
    let mut missing: Vec<Regex> = expected.iter().filter_map(|pattern| Regex::new(pattern).ok()).collect();
    let mut unexpected = Vec::new();
    for (number, line) in log.iter().enumerate() {
        let Some(kind) = complains_of(line) else { continue };
        match missing.iter().position(|pattern| pattern.is_match(line)) {
            // Each stands for one line: a second of the same is one too many.
            Some(found) => drop(missing.swap_remove(found)),
            None => unexpected.push(Complaint { number, kind, line: line.clone() }),
        }
    }
    let missing: Vec<_> = missing.iter().map(Regex::to_string).collect();
    if unexpected.is_empty() && missing.is_empty() { Ok(()) } else { Err(Verdict { unexpected, missing }) }
}

/// As [`judge`], of a log of this kernel: without what the debug kernel says of itself.
///
/// # Errors
/// Anything is wrong with it.
pub fn of_this_kernel(flavour: Flavour, log: Vec<String>, expected: &[&str]) -> Result<(), Verdict> {
    let log = match flavour {
        Flavour::Stock => log,
        Flavour::Debug => without_its_own(log),
    };
    judge(&log, expected)
}

/// A log without what comes before the first process.
pub fn without_the_boot(mut log: Vec<String>) -> Vec<String> {
    let begin = log.iter().position(|line| line.contains(INIT_BEGINS)).unwrap_or(0);
    log.split_off(begin)
}

/// A log of the debug kernel without what it says of itself: everything before the first process (it has a report of its own
/// there), and lockdep's reports about `pciehp` at a native hot removal. Those name no function of ours, or they stay.
pub fn without_its_own(log: Vec<String>) -> Vec<String> {
    let mut rest = without_the_boot(log).into_iter().peekable();
    let mut kept = Vec::new();
    while let Some(line) = rest.next() {
        if complains_of(&line) != Some("a warning") || !line.contains("possible") {
            kept.push(line);
            continue;
        }
        let mut report = vec![line];
        while let Some(line) = rest.next_if(|_| !report.last().is_some_and(|last| last.contains("</TASK>"))) {
            report.push(line);
        }
        let names = |word| report.iter().any(|line| line.contains(word));
        if !names("pciehp_") || names("lifeboat") {
            kept.append(&mut report);
        }
    }
    kept
}

/// What is wrong with a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Verdict {
    /// What should not be there.
    pub unexpected: Vec<Complaint>,
    /// Patterns of what should be there and is not.
    pub missing: Vec<String>,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(first) = self.unexpected.first() {
            write!(f, "{first}")?;
            match self.unexpected.len() {
                1 => {}
                count => write!(f, " (and {} more)", count - 1)?,
            }
        }
        let separator = if self.unexpected.is_empty() { "" } else { "; " };
        match self.missing.as_slice() {
            [] => Ok(()),
            missing => write!(f, "{separator}the kernel's log lacks {}", missing.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn only_the_debug_kernels_own_reports_are_left_out() {
        let own = [
            "WARNING: possible recursive locking detected",
            " pciehp_unconfigure_device+0x1",
            " Call Trace:",
            " </TASK>",
        ];
        let ours = ["WARNING: possible circular locking dependency detected", " pciehp_x", " [lifeboat]", " </TASK>"];
        let mut lines = vec!["BUG: KASAN: of the kernel itself", "Run /init as init process"];
        lines.extend(own);
        lines.extend(["between"]);
        lines.extend(ours);
        lines.extend(["BUG: KASAN: ours"]);
        let kept = without_its_own(log(&lines));
        let mut expected = vec!["Run /init as init process", "between"];
        expected.extend(ours);
        expected.push("BUG: KASAN: ours");
        assert_eq!(kept, log(&expected));
    }

    #[test]
    fn reports_of_the_kernel_are_recognised() {
        for line in [
            "[   12.1] WARNING: CPU: 0 PID: 71 at drivers/pci/msi/msi.c:380 free_msi_irqs+0x1/0x2 [lifeboat]",
            "[   12.1] WARNING: possible circular locking dependency detected",
            "[   12.1] WARNING: suspicious RCU usage",
            "[   12.1] BUG: kernel NULL pointer dereference, address: 0000000000000008",
            "[   12.1] BUG: KASAN: slab-use-after-free in lifeboat_remove+0x10/0x20 [lifeboat]",
            "[   12.1] BUG: sleeping function called from invalid context at kernel/locking/mutex.c:580",
            "[   12.1] BUG kmalloc-64 (Tainted: G           OE      ): Poison overwritten",
            "[   12.1] BUG: Bad page state in process init  pfn:00001",
            "[   12.1] Oops: Oops: 0002 [#1] SMP PTI",
            "[   12.1] Oops: general protection fault, probably for non-canonical address 0xdead000000000100: 0000 [#1]",
            "[   12.1] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100",
            "[   12.1] UBSAN: array-index-out-of-bounds in drivers/x.c:1:2",
            "[   12.1] Unable to handle kernel paging request at virtual address ffff",
            "[   12.1] INFO: task init:1 blocked for more than 20 seconds.",
            "[   12.1] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
            "[   12.1] rcu: INFO: rcu_preempt self-detected stall on CPU",
            "[   12.1] rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 0-... } 21 jiffies s: 1 root: 0x1/.",
            "[   12.1] watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [init:1]",
            "[   12.1] refcount_t: underflow; use-after-free.",
            "[   12.1]  Call Trace:",
            "[   12.1] lifeboat: 3 jobs leaked",
            "[   12.1] kmemleak: 1 new suspected memory leaks (see /sys/kernel/debug/kmemleak)",
            "[   12.1] ODEBUG: free active (active state 0) object: 0 object type: timer_list hint: x",
            "[   12.1] DMA-API: pci 0000:01:00.0: device driver frees DMA memory it has not allocated [device address=0x00]",
            "[   12.1] DMAR: [DMA Read NO_PASID] Request device [01:00.0] fault addr 0x1000 [fault reason 0x06]",
            "[   12.1] irq 24: nobody cared (try booting with the \"irqpoll\" option)",
            "[   12.1] INFO: trying to register non-static key.",
            "[   12.1] list_del corruption. prev->next should be 1, but was 2",
            "[   12.1] lifeboat 0000:01:00.0: load: 3 wrong bytes in round 7",
            "[   12.1] lifeboat-guest: the port failed",
            "[   12.1] traps: init[71] general protection fault ip:1 sp:2 error:0",
        ] {
            assert!(complains_of(line).is_some(), "{line}");
        }
    }

    #[test]
    fn ordinary_lines_are_not() {
        for line in [
            "[    0.0] kfence: initialized - using 2097152 bytes for 255 objects at 0x(____ptrval____)",
            "[    0.0] kasan: KernelAddressSanitizer initialized (generic)",
            "[    0.0] DMA-API: preallocated 65536 debug entries",
            "[    0.0] DMA-API: debugging enabled by kernel config",
            "[    0.0] rcu: Preemptible hierarchical RCU implementation.",
            "[    0.0] rcu: \tRCU debug extended QS entry/exit.",
            "[    0.0] Lock dependency validator: Copyright (c) 2006 Red Hat, Inc., Ingo Molnar",
            "[    0.0] DMAR: IOMMU enabled",
            "[    1.0] lifeboat: loading out-of-tree module taints kernel.",
            "[    1.0] lifeboat: module verification failed: signature and/or required key missing - tainting kernel",
            "[    1.0] lifeboat 0000:01:00.0: bdf=0000:01:00.0 path=short verdict=gone trigger=remove retired=8 remove_us=812",
            "[    1.0] pcieport 0000:00:01.0: pciehp: Slot(1): Card not present",
            "[    1.0] clocksource: Marking clocksource 'tsc' as unstable because the skew is too large:",
        ] {
            assert_eq!(complains_of(line), None, "{line}");
        }
    }

    #[test]
    fn a_verdict_shows_the_first_complaint_and_counts_the_rest() {
        let log = log(&["fine", "WARNING: one", "Call Trace:", "BUG: two"]);
        let verdict = judge(&log, &[]).unwrap_err();
        assert_eq!(verdict.unexpected.len(), 3);
        assert_eq!(verdict.unexpected[0].number, 1);
        assert_eq!(verdict.to_string(), "a warning in line 2 of the kernel's log: WARNING: one (and 2 more)");
        assert_eq!(judge(&log[..1], &[]), Ok(()));
    }

    #[test]
    fn what_is_provoked_must_come_and_only_once() {
        let once = log(&["fine", "WARNING: provoked"]);
        assert_eq!(judge(&once, &["provoked"]), Ok(()));
        let twice = log(&["WARNING: provoked", "WARNING: provoked"]);
        assert_eq!(judge(&twice, &["provoked"]).unwrap_err().unexpected.len(), 1);
        assert_eq!(judge(&twice, &["provoked", "provoked"]), Ok(()));
        let never = judge(&log(&["provoked, but no complaint"]), &["provoked"]).unwrap_err();
        assert_eq!(never.missing, ["provoked"]);
        assert_eq!(never.to_string(), "the kernel's log lacks provoked");
    }
}

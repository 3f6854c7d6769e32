//! Every call of a node: what it needs, what it does, and its class.

use lifeboat_core::class::Class;
use lifeboat_core::core_call;
use lifeboat_guest::wire::{NodeCall, NodeRequest};
use lifeboat_uapi::{
    BUFFER_VRAM, BufferAdvise, BufferMmap, ContextCreate, ContextDestroy, ContextStatus, DONT_NEED, Info, Unmap,
    WILL_NEED,
};

use super::verdict::Expect;
use super::world::{
    BYTES, CARD_FILE, CONTEXT, EXPORTED, FILE, NEW_DESCRIPTOR, NEW_MAP, OTHER_FILE, PEER_FILE, Planned, SOURCE, SPARE,
    SPARE_CONTEXT, SYNCOBJ, TARGET, TARGET_MAP, USER_MEMORY, VRAM, VRAM_MAP, World, call, create, map_memory, node,
    poke,
};
use crate::program::commands::syncobj;

/// A call, and what is around it.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) name: &'static str,
    pub(super) class: Class,
    /// Whether jobs are held up for a while, so that one is in flight meanwhile.
    pub(super) slow: bool,
    /// Jobs of the first context that it submits.
    pub(super) jobs: u64,
    /// Whether a descriptor of a fence is left, which must signal.
    pub(super) fence: bool,
    /// What it needs beside the world.
    prepare: fn(&World) -> Vec<Planned>,
    /// What it does.
    act: fn(&World) -> Vec<Planned>,
}

/// What most calls have.
const PLAIN: Call = Call {
    name: "",
    class: Class::Always,
    slow: false,
    jobs: 0,
    fence: false,
    prepare: |_| Vec::new(),
    act: |_| Vec::new(),
};

const fn plain(name: &'static str, class: Class, act: fn(&World) -> Vec<Planned>) -> Call {
    Call { name, class, act, ..PLAIN }
}

const ALWAYS: Expect = Expect::Call(Class::Always);
const DEVICE: Expect = Expect::Call(Class::Device);

/// A small `dumb` buffer: `struct drm_mode_create_dumb`, and its call.
const CREATE_DUMB: u32 = 0xc020_64b2;
const DUMB: [u32; 8] = [32, 32, 32, 0, 0, 0, 0, 0];

/// The calls.
pub(super) const CALLS: &[Call] = &[
    plain("info", Class::Always, |_| vec![call("info", ALWAYS, NodeCall::Info(Info::default()))]),
    plain("context-create", Class::Device, |_| vec![context_create()]),
    Call {
        slow: true,
        fence: true,
        prepare: |world| {
            vec![
                call("map", Expect::Success, NodeCall::Map(world.map(SPARE_CONTEXT, SOURCE, 0))),
                call("map", Expect::Success, NodeCall::Map(world.map(SPARE_CONTEXT, TARGET, 1))),
            ]
        },
        ..plain("context-destroy", Class::Always, |world| {
            let mut steps = submit_fence(world, FILE, SPARE_CONTEXT);
            steps.push(context_destroy(SPARE_CONTEXT));
            steps
        })
    },
    plain("context-status", Class::Always, |_| vec![context_status()]),
    plain("buffer-create", Class::Device, |_| vec![node("buffer-create", DEVICE, create(FILE, 0))]),
    plain("buffer-create-vram", Class::Device, |_| vec![node("buffer-create-vram", DEVICE, create(FILE, BUFFER_VRAM))]),
    Call {
        prepare: |_| {
            let length = usize::try_from(BYTES).unwrap_or(usize::MAX);
            vec![node("allocate", Expect::Success, NodeRequest::Allocate { mapping: USER_MEMORY, length })]
        },
        ..plain("buffer-create-user", Class::Device, |_| {
            let request = NodeRequest::CreateUserBuffer { file: FILE, mapping: USER_MEMORY, read_only: false };
            vec![node("buffer-create-user", DEVICE, request)]
        })
    },
    plain("buffer-mmap", Class::Always, |_| vec![buffer_mmap()]),
    Call {
        slow: true,
        jobs: 1,
        ..plain("buffer-wait", Class::Always, |world| vec![submit(world), buffer_wait(world).after("submit")])
    },
    plain("buffer-advise", Class::Always, |_| vec![advise(DONT_NEED), advise(WILL_NEED)]),
    plain("map", Class::Device, |world| vec![map(world, SPARE)]),
    plain("map-vram", Class::Device, |world| vec![map(world, VRAM)]),
    Call {
        prepare: |world| vec![call("map", Expect::Success, NodeCall::Map(world.map(CONTEXT, SPARE, 2)))],
        ..plain("unmap", Class::Always, |world| vec![unmap(world, 2)])
    },
    Call { jobs: 1, ..plain("submit", Class::Driver, |world| vec![submit(world)]) },
    Call {
        jobs: 2,
        ..plain("submit-chain", Class::Driver, |world| {
            let first = node("submit", Expect::Work, world.submit(FILE, CONTEXT, &[syncobj(SYNCOBJ, 0)]));
            let second = node("submit-after", Expect::Work, world.submit_after(syncobj(SYNCOBJ, 0)));
            vec![first, second.after("submit")]
        })
    },
    Call {
        slow: true,
        jobs: 1,
        ..plain("wait", Class::Always, |world| {
            vec![submit(world), node("wait", Expect::JobSoFar, world.wait(FILE, 1, PATIENCE)).after("submit")]
        })
    },
    plain("open", core_call::OPEN.class, |world| {
        vec![open(world), node("close", ALWAYS, NodeRequest::Close { file: OTHER_FILE }).after("open")]
    }),
    Call {
        slow: true,
        fence: true,
        prepare: |world| {
            let must = |what, request| node(what, Expect::Success, request);
            let plain = |call| NodeRequest::Call { file: OTHER_FILE, call };
            vec![
                must("open", NodeRequest::Open { file: OTHER_FILE, path: world.nodes.render.clone() }),
                must("context-create", plain(NodeCall::ContextCreate(ContextCreate::default()))),
                must("buffer-create", create(OTHER_FILE, 0)),
                must("buffer-create", create(OTHER_FILE, 0)),
                must("map", plain(NodeCall::Map(world.map(CONTEXT, SOURCE, 0)))),
                must("map", plain(NodeCall::Map(world.map(CONTEXT, TARGET, 1)))),
                must("syncobj-create", NodeRequest::CreateSyncobj { file: OTHER_FILE }),
            ]
        },
        ..plain("close", core_call::CLOSE.class, |world| {
            let mut steps = submit_fence(world, OTHER_FILE, CONTEXT);
            steps.push(node("close", ALWAYS, NodeRequest::Close { file: OTHER_FILE }));
            steps
        })
    },
    plain("mmap", core_call::MMAP.class, |_| {
        vec![
            node("mmap", ALWAYS, map_memory(FILE, SPARE, NEW_MAP)),
            node("touch", ALWAYS, poke(NEW_MAP)).after("mmap"),
            node("munmap", ALWAYS, NodeRequest::Unmap { mapping: NEW_MAP }).after("mmap"),
        ]
    }),
    plain("mmap-vram", core_call::MMAP.class, |_| {
        vec![
            node("mmap", ALWAYS, map_memory(FILE, VRAM, NEW_MAP)),
            node("touch", ALWAYS, poke(NEW_MAP)).after("mmap"),
            node("munmap", ALWAYS, NodeRequest::Unmap { mapping: NEW_MAP }).after("mmap"),
        ]
    }),
    Call {
        prepare: |world| {
            let path = world.nodes.card.clone();
            vec![node("open", Expect::Success, NodeRequest::Open { file: CARD_FILE, path })]
        },
        ..plain("dumb-create", Class::Device, |_| {
            vec![
                node("dumb-create", DEVICE, create_dumb(CARD_FILE)),
                node("close", ALWAYS, NodeRequest::Close { file: CARD_FILE }),
            ]
        })
    },
    plain("export", core_call::EXPORT.class, |_| {
        vec![export(NEW_DESCRIPTOR), close_descriptor(NEW_DESCRIPTOR).after("export")]
    }),
    // A buffer of the device's own is found again without the device.
    Call {
        prepare: |world| vec![export(EXPORTED), open(world)],
        ..plain("import-own", Class::Always, |_| {
            vec![
                node("import-own", ALWAYS, NodeRequest::ImportBuffer { file: OTHER_FILE, descriptor: EXPORTED }),
                node("close", ALWAYS, NodeRequest::Close { file: OTHER_FILE }),
                close_descriptor(EXPORTED),
            ]
        })
    },
    Call {
        prepare: |world| {
            vec![
                node("open", Expect::Success, NodeRequest::Open { file: PEER_FILE, path: world.peer.clone() }),
                node("dumb-create", Expect::Success, create_dumb(PEER_FILE)),
                node(
                    "export",
                    Expect::Success,
                    NodeRequest::ExportBuffer { file: PEER_FILE, handle: 1, descriptor: EXPORTED },
                ),
            ]
        },
        ..plain("import", core_call::IMPORT.class, |_| {
            vec![
                node("import", DEVICE, NodeRequest::ImportBuffer { file: FILE, descriptor: EXPORTED }),
                close_descriptor(EXPORTED),
                node("close", ALWAYS, NodeRequest::Close { file: PEER_FILE }),
            ]
        })
    },
    plain("gem-close", Class::Always, |_| vec![gem_close(SPARE)]),
    Call {
        slow: true,
        jobs: 1,
        ..plain("syncobj-wait", Class::Always, |world| {
            let first = node("submit", Expect::Work, world.submit(FILE, CONTEXT, &[syncobj(SYNCOBJ, 0)]));
            let request = NodeRequest::WaitForSyncobj { file: FILE, handle: SYNCOBJ, point: 0, limit_ms: PATIENCE };
            vec![first, node("syncobj-wait", Expect::JobSoFar, request).after("submit")]
        })
    },
    plain("poll", Class::Always, |_| vec![node("poll", ALWAYS, NodeRequest::Poll { file: FILE, limit_ms: 0 })]),
    plain("version", core_call::VERSION.class, |_| vec![version()]),
    plain("capability", core_call::CAPABILITY.class, |_| vec![capability()]),
];

/// How long a wait may be in vain before the loss is announced, in milliseconds.
pub(super) const PATIENCE: u64 = 250;

impl Call {
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        CALLS.iter().find(|call| call.name == name)
    }

    /// What must be there beside the world. All steps must succeed.
    pub(super) fn prepare(&self, world: &World) -> Vec<Planned> {
        (self.prepare)(world)
    }

    /// The call, and then a wait for each of its jobs that may be in vain: if the device is lost, perhaps nobody knows.
    pub(super) fn act(&self, world: &World) -> Vec<Planned> {
        let mut steps = (self.act)(world);
        steps.extend(self.waits(world, Expect::JobSoFar, PATIENCE));
        if self.fence {
            let request = NodeRequest::PollDescriptor { descriptor: NEW_DESCRIPTOR, limit_ms: PATIENCE };
            steps.push(node("a fence", ALWAYS, request).after("export a fence"));
        }
        steps
    }

    /// Every job of the call has ended.
    pub(super) fn ended(&self, world: &World) -> Vec<Planned> {
        let mut steps = self.waits(world, Expect::Job, world.wait_limit);
        if self.fence {
            let descriptor = NEW_DESCRIPTOR;
            let poll = NodeRequest::PollDescriptor { descriptor, limit_ms: world.wait_limit };
            steps.extend([
                node("a fence", Expect::Number(1), poll).after("export a fence"),
                node("a fence", Expect::Fence, NodeRequest::Status { descriptor }).after("export a fence"),
                close_descriptor(descriptor).after("export a fence"),
            ]);
        }
        steps
    }

    fn waits(&self, world: &World, expect: Expect, limit_ms: u64) -> Vec<Planned> {
        let submit = ["submit", "submit-after"];
        let wait =
            |(job, submit): (u64, &'static str)| node("a job", expect, world.wait(FILE, job, limit_ms)).after(submit);
        (1..=self.jobs).zip(submit).map(wait).collect()
    }
}

/// Every kind of call on the world's file, once more, after the loss.
pub(super) fn after_loss(world: &World) -> Vec<Planned> {
    vec![
        context_status(),
        buffer_mmap(),
        buffer_wait(world),
        call("info", ALWAYS, NodeCall::Info(Info::default())),
        map(world, SOURCE),
        context_create(),
        node("buffer-create", DEVICE, create(FILE, 0)),
        node("buffer-create-vram", DEVICE, create(FILE, BUFFER_VRAM)),
        submit(world),
        node("mmap", ALWAYS, map_memory(FILE, SOURCE, NEW_MAP)),
        node("touch a new map", ALWAYS, poke(NEW_MAP)),
        node("touch a map", ALWAYS, poke(TARGET_MAP)),
        node("touch a map of video memory", ALWAYS, poke(VRAM_MAP)),
        export(EXPORTED),
        close_descriptor(EXPORTED),
        node("poll", Expect::Number(8 | 16), NodeRequest::Poll { file: FILE, limit_ms: 0 }),
        version(),
        capability(),
        unmap(world, 0),
        context_destroy(CONTEXT),
        gem_close(SOURCE),
        open(world),
        node("close", ALWAYS, NodeRequest::Close { file: OTHER_FILE }).after("open"),
    ]
}

/// Closes what the world has, whatever has happened.
pub(super) fn close() -> Vec<Planned> {
    vec![
        node("munmap", ALWAYS, NodeRequest::Unmap { mapping: TARGET_MAP }),
        node("munmap", ALWAYS, NodeRequest::Unmap { mapping: VRAM_MAP }),
        node("close", ALWAYS, NodeRequest::Close { file: FILE }),
    ]
}

fn context_create() -> Planned {
    call("context-create", DEVICE, NodeCall::ContextCreate(ContextCreate::default()))
}

fn context_destroy(context: u32) -> Planned {
    call("context-destroy", ALWAYS, NodeCall::ContextDestroy(ContextDestroy { context, ..Default::default() }))
}

fn context_status() -> Planned {
    let request = ContextStatus { context: CONTEXT, ..Default::default() };
    call("context-status", ALWAYS, NodeCall::ContextStatus(request))
}

fn buffer_mmap() -> Planned {
    call("buffer-mmap", ALWAYS, NodeCall::BufferMmap(BufferMmap { handle: SOURCE, ..Default::default() }))
}

fn buffer_wait(world: &World) -> Planned {
    let request = NodeRequest::WaitForBuffer { file: FILE, handle: TARGET, limit_ms: PATIENCE.min(world.wait_limit) };
    node("buffer-wait", Expect::JobSoFar, request)
}

fn advise(advice: u32) -> Planned {
    let request = BufferAdvise { handle: SPARE, advice, ..Default::default() };
    call("buffer-advise", ALWAYS, NodeCall::BufferAdvise(request))
}

fn map(world: &World, handle: u32) -> Planned {
    call("map", DEVICE, NodeCall::Map(world.map(CONTEXT, handle, 3)))
}

fn unmap(world: &World, place: u64) -> Planned {
    let address = world.map(CONTEXT, 0, place).address;
    call("unmap", ALWAYS, NodeCall::Unmap(Unmap { context: CONTEXT, address, ..Default::default() }))
}

fn submit(world: &World) -> Planned {
    node("submit", Expect::Work, world.submit(FILE, CONTEXT, &[]))
}

/// A job whose fence outlives its file.
fn submit_fence(world: &World, file: u32, context: u32) -> Vec<Planned> {
    let export = NodeRequest::ExportSyncobj { file, handle: SYNCOBJ, descriptor: NEW_DESCRIPTOR };
    vec![
        node("submit", Expect::Work, world.submit(file, context, &[syncobj(SYNCOBJ, 0)])),
        node("export a fence", ALWAYS, export).after("submit"),
    ]
}

fn gem_close(handle: u32) -> Planned {
    node("gem-close", ALWAYS, NodeRequest::CloseBuffer { file: FILE, handle })
}

fn open(world: &World) -> Planned {
    let path = world.nodes.render.clone();
    node("open", Expect::Call(Class::Open), NodeRequest::Open { file: OTHER_FILE, path })
}

fn export(descriptor: u32) -> Planned {
    node("export", ALWAYS, NodeRequest::ExportBuffer { file: FILE, handle: SOURCE, descriptor })
}

fn close_descriptor(descriptor: u32) -> Planned {
    node("close", ALWAYS, NodeRequest::CloseDescriptor { descriptor })
}

fn create_dumb(file: u32) -> NodeRequest {
    NodeRequest::Raw { file, number: CREATE_DUMB, argument: DUMB.map(u32::to_le_bytes).concat() }
}

fn version() -> Planned {
    node("version", ALWAYS, NodeRequest::Version { file: FILE })
}

fn capability() -> Planned {
    /// `DRM_CAP_PRIME`.
    const PRIME: u64 = 5;
    node("capability", ALWAYS, NodeRequest::Capability { file: FILE, capability: PRIME })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test that cannot go on must fail

    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use regex::Regex;

    use super::*;

    fn kernel(file: &str) -> String {
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../kernel").join(file)).unwrap()
    }

    /// The ioctls of the kernel's table, by the names that calls have here.
    fn rows() -> BTreeSet<String> {
        let row = Regex::new(r"(?m)^\s*(?:\w+!\((\w+), |Row::\w+::<(\w+)>)").unwrap();
        let table = kernel("src/node/table.rs");
        row.captures_iter(&table)
            .filter_map(|found| found.get(1).or(found.get(2)))
            .map(|name| kebab(name.as_str()))
            .collect()
    }

    /// `ContextCreate` as `context-create`.
    fn kebab(name: &str) -> String {
        let word = |letter: char| format!("{}{letter}", if letter.is_uppercase() { "-" } else { "" });
        name.chars().map(word).collect::<String>().trim_start_matches('-').to_lowercase()
    }

    /// The calls that are one ioctl, in one way or another.
    fn ways_of(row: &str) -> Vec<&'static Call> {
        let is_of =
            |call: &&Call| call.name.strip_prefix(row).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
        CALLS.iter().filter(is_of).collect()
    }

    #[test]
    fn call_4_every_row_of_the_kernels_table_is_put_to_the_proof() {
        let rows = rows();
        assert!(rows.len() >= 12, "{rows:?}");
        for row in rows {
            assert!(CALLS.iter().any(|call| call.name == row), "no call is {row}");
        }
    }

    #[test]
    fn call_1_each_class_is_what_the_header_says() {
        let header = kernel("uapi/lifeboat_drm.h");
        let structure = Regex::new(r"\*/\s*struct drm_lifeboat_(\w+) \{").unwrap();
        let class = Regex::new(r"Class:[\s*]+(\w+)").unwrap();
        let mut checked = 0;
        for found in structure.captures_iter(&header) {
            let row = found[1].replace('_', "-");
            let before = &header[..found.get(0).unwrap().start()];
            let comment = &before[before.rfind("/*").unwrap()..];
            for call in ways_of(&row) {
                assert_eq!(class.captures(comment).unwrap()[1], format!("{:?}", call.class), "{}", call.name);
                checked += 1;
            }
        }
        assert!(checked >= rows().len(), "the classes of {checked} calls were found");
    }

    #[test]
    fn names_are_unique() {
        let names: BTreeSet<_> = CALLS.iter().map(|call| call.name).collect();
        assert_eq!(names.len(), CALLS.len());
    }
}

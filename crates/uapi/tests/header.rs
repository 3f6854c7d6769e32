//! The crate says what `kernel/uapi/lifeboat_drm.h` says: every structure, field, number and constant, none missing on
//! either side, as the host's C compiler reads the header.
//!
//! The header's names are read out of its text; the crate's names are listed here, where the compiler holds the lists of
//! fields to the structures, and [`the_crate_has_no_more`] the lists of structures and constants to the sources.
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::mem::{align_of, offset_of, size_of};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use lifeboat_uapi::*;

/// A structure of the crate: its name, size, alignment, and the offset and size of each field.
struct Structure {
    name: &'static str,
    size: usize,
    align: usize,
    fields: Vec<(&'static str, usize, usize)>,
    /// Command, and number of the ioctl; a structure inside another one has none.
    request: Option<(u32, u32)>,
}

fn size_of_field<S, F>(_: fn(&S) -> &F) -> usize {
    size_of::<F>()
}

macro_rules! structure {
    ($request:expr, $name:ident { $($field:ident),* }) => {{
        // Names every field, or does not compile.
        let $name { $($field: _),* } = $name::default();
        Structure {
            name: stringify!($name),
            size: size_of::<$name>(),
            align: align_of::<$name>(),
            fields: vec![$((
                stringify!($field),
                offset_of!($name, $field),
                size_of_field(|structure: &$name| &structure.$field),
            )),*],
            request: $request,
        }
    }};
}

macro_rules! request {
    ($name:ident { $($field:ident),* }) => {
        structure!(Some(($name::COMMAND, $name::NUMBER)), $name { $($field),* })
    };
}

fn structures() -> Vec<Structure> {
    vec![
        request!(Info {
            flags,
            rings,
            contexts,
            segments,
            page_bytes,
            command_bytes,
            most_commands,
            serial,
            vram_bytes,
            first_address,
            last_address
        }),
        request!(ContextCreate { flags, context }),
        request!(ContextDestroy { context, pad }),
        request!(ContextStatus { context, pad, status, flags, guilty, innocent, unknown }),
        request!(BufferCreate { size, address, flags, handle }),
        request!(BufferMmap { handle, pad, offset }),
        request!(BufferWait { handle, flags, timeout_ns }),
        request!(BufferAdvise { handle, advice, retained, pad }),
        request!(Map { context, handle, address, offset, size, flags, pad }),
        request!(Unmap { context, pad, address }),
        structure!(None, Sync { handle, flags, point }),
        request!(Submit {
            context,
            ring,
            priority,
            flags,
            commands,
            waits,
            signals,
            command_count,
            wait_count,
            signal_count,
            timeout_ms,
            job
        }),
        request!(Wait { context, flags, job, timeout_ns, result, pad }),
    ]
}

macro_rules! constants {
    ($($name:ident),* $(,)?) => { vec![$((stringify!($name), $name)),*] };
}

fn constants() -> Vec<(&'static str, u32)> {
    constants![
        RESET_NONE,
        RESET_GUILTY,
        RESET_INNOCENT,
        RESET_UNKNOWN,
        CONTEXT_BANNED,
        CONTEXT_LOST,
        CONTEXT_HUNG,
        CONTEXT_RESET_FAILED,
        CONTEXT_NONSENSE,
        BUFFER_VRAM,
        BUFFER_USER,
        BUFFER_READ_ONLY,
        WAIT_WRITERS,
        WILL_NEED,
        DONT_NEED,
        MAP_WRITE,
        SYNC_FILE,
        PRIORITY_LOW,
        PRIORITY_NORMAL,
        PRIORITY_HIGH,
        SUBMIT_IGNORE_ERRORS,
        SUBMIT_RESTARTABLE,
    ]
}

/// What the header takes from the kernel's `drm.h`, which a bare machine does not have.
const DRM_H: &str = "\
#include <stdint.h>
#include <sys/ioctl.h>
typedef uint32_t __u32;
typedef int32_t __s32;
typedef uint64_t __u64;
typedef int64_t __s64;
#define DRM_COMMAND_BASE 0x40
#define DRM_IOW(number, type) _IOW('d', number, type)
#define DRM_IOWR(number, type) _IOWR('d', number, type)
";

#[test]
fn every_layout_and_number_is_the_headers() {
    let mut program = String::from("#include <stddef.h>\n#include \"lifeboat_drm.h\"\n");
    let mut same = |what: &str, rust: usize| {
        writeln!(program, "_Static_assert(({what}) == {rust}, \"{what} is not {rust}\");").unwrap();
    };
    for structure in structures() {
        let c = c_name(structure.name);
        same(&format!("sizeof(struct {c})"), structure.size);
        for (field, offset, size) in structure.fields {
            same(&format!("offsetof(struct {c}, {field})"), offset);
            same(&format!("sizeof(((struct {c} *)0)->{field})"), size);
        }
        if let Some((command, number)) = structure.request {
            let name = c.trim_start_matches("drm_lifeboat_").to_uppercase();
            same(&format!("DRM_LIFEBOAT_{name}"), command as usize);
            same(&format!("DRM_IOCTL_LIFEBOAT_{name}"), number as usize);
        }
    }
    for (name, value) in constants() {
        same(&format!("DRM_LIFEBOAT_{name}"), value as usize);
    }
    same("DRM_COMMAND_BASE", COMMAND_BASE as usize);
    compiles(&[], &program);
    // Programs of 32 bit share the structures. Their compiler aligns 64-bit fields less, which padding would show.
    if cc(&["-m32"], "#include <stdint.h>\n#include <sys/ioctl.h>\n").status.success() {
        compiles(&["-m32"], &program);
    }
}

#[test]
fn no_structure_has_padding_or_depends_on_the_machine() {
    for Structure { name, size, align, fields, .. } in structures() {
        let mut end = 0;
        for (field, offset, bytes) in fields {
            assert_eq!(offset, end, "there is padding before {name}.{field}");
            assert!(offset % bytes == 0, "{name}.{field} is not at a multiple of its size");
            end = offset + bytes;
        }
        assert_eq!(end, size, "there is padding at the end of {name}");
        assert!(size % 8 == 0, "an array of {name} would not be the same on 32 bit");
        assert!(align <= 8);
    }
}

#[test]
fn nothing_of_the_header_is_missing() {
    let header = fs::read_to_string(header()).unwrap();
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut constants_found = BTreeSet::new();
    let mut commands_found = BTreeSet::new();
    let mut ioctls_found = BTreeSet::new();
    let mut structure = None;
    for line in without_comments(&header).lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            ["struct", name, "{"] => structure = Some(name.to_owned()),
            ["};"] => structure = None,
            ["#define", name, ..] if name.starts_with("DRM_IOCTL_LIFEBOAT_") => {
                ioctls_found.insert(name.trim_start_matches("DRM_IOCTL_LIFEBOAT_").to_owned());
            }
            // Numbers of commands are written in hexadecimal, constants are not.
            ["#define", name, value] if value.starts_with("0x") => {
                commands_found.insert(name.trim_start_matches("DRM_LIFEBOAT_").to_owned());
            }
            ["#define", name, _, ..] => {
                constants_found.insert(name.trim_start_matches("DRM_LIFEBOAT_").to_owned());
            }
            [_, field] => {
                if let Some(structure) = &structure {
                    found.entry(structure.clone()).or_default().push(field.trim_end_matches(';').to_owned());
                }
            }
            _ => {}
        }
    }
    let ours: BTreeMap<_, Vec<_>> = structures()
        .into_iter()
        .map(|structure| {
            let fields = structure.fields.iter().map(|(field, ..)| (*field).to_owned()).collect();
            (c_name(structure.name), fields)
        })
        .collect();
    assert_eq!(found, ours);
    let requests: BTreeSet<_> = structures()
        .iter()
        .filter(|structure| structure.request.is_some())
        .map(|structure| c_name(structure.name).trim_start_matches("drm_lifeboat_").to_uppercase())
        .collect();
    assert_eq!(ioctls_found, requests);
    assert_eq!(commands_found, requests);
    assert_eq!(constants_found, constants().into_iter().map(|(name, _)| name.to_owned()).collect());
}

#[test]
fn the_crate_has_no_more() {
    let mut structures_found = BTreeSet::new();
    let mut constants_found = BTreeSet::new();
    let mut requests_found = BTreeSet::new();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in fs::read_dir(sources).unwrap() {
        let source = fs::read_to_string(entry.unwrap().path()).unwrap();
        for item in syn::parse_file(&source).unwrap().items {
            match item {
                syn::Item::Struct(item) => drop(structures_found.insert(item.ident.to_string())),
                syn::Item::Const(item) if matches!(item.vis, syn::Visibility::Public(_)) => {
                    constants_found.insert(item.ident.to_string());
                }
                syn::Item::Impl(item) => {
                    let syn::Type::Path(of) = *item.self_ty else { panic!("an impl of something else") };
                    requests_found.insert(of.path.segments.last().unwrap().ident.to_string());
                }
                _ => {}
            }
        }
    }
    assert!(constants_found.remove("COMMAND_BASE"), "of drm.h, and checked as well");
    let listed = |wanted: fn(&Structure) -> bool| {
        structures().iter().filter(|structure| wanted(structure)).map(|structure| structure.name.to_owned()).collect()
    };
    assert_eq!(structures_found, listed(|_| true));
    assert_eq!(requests_found, listed(|structure| structure.request.is_some()));
    assert_eq!(constants_found, constants().into_iter().map(|(name, _)| name.to_owned()).collect());
}

#[test]
fn the_header_stands_alone_and_is_cpp_too() {
    let program = "#include \"lifeboat_drm.h\"\n#include \"lifeboat_drm.h\"\n";
    compiles(&[], program);
    if cc(&["-x", "c++"], "").status.success() {
        compiles(&["-x", "c++"], program);
    }
}

fn header() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../kernel/uapi/lifeboat_drm.h")
}

/// `drm_lifeboat_buffer_create` for `BufferCreate`.
fn c_name(name: &str) -> String {
    let mut c = String::from("drm_lifeboat");
    for letter in name.chars() {
        if letter.is_uppercase() {
            c.push('_');
        }
        c.push(letter.to_ascii_lowercase());
    }
    c
}

fn without_comments(text: &str) -> String {
    let mut parts = text.split("/*");
    let mut rest = parts.next().unwrap().to_owned();
    for part in parts {
        rest.push_str(part.split_once("*/").unwrap().1);
    }
    rest
}

fn compiles(options: &[&str], program: &str) {
    let output = cc(options, program);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Has the compiler that links this very test check a program.
fn cc(options: &[&str], program: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("drm.h"), DRM_H).unwrap();
    fs::write(folder.path().join("program.c"), program).unwrap();
    let mut command = Command::new("cc");
    command.args(["-fsyntax-only", "-Wall", "-Werror"]).args(options).arg("-I").arg(folder.path());
    command.arg("-I").arg(header().parent().unwrap()).arg(folder.path().join("program.c"));
    command.output().unwrap()
}

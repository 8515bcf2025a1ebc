//! Arguments of a process, from the bytes that the kernel keeps.

use crate::prelude::*;

/// As many arguments as are kept.
pub const ARGUMENTS: usize = 64;
/// As many bytes of arguments as are kept.
pub const ARGUMENT_BYTES: usize = 4096;
/// What stands in the place of arguments that were not kept, as the last one.
pub const ARGUMENTS_CUT: &str = "…";

/// The arguments in `bytes`, each ended by NUL; `None` where there are none, as of a kernel thread or a zombie.
///
/// More than [`ARGUMENTS`] or [`ARGUMENT_BYTES`] are cut, and [`ARGUMENTS_CUT`] says so. Empty arguments at the end
/// are taken for the padding that a program leaves which has written a title over its arguments.
#[must_use]
pub fn arguments(bytes: &[u8]) -> Option<Vec<String>> {
    let mut cut = bytes.len() > ARGUMENT_BYTES;
    let bytes = &bytes[..bytes.len().min(ARGUMENT_BYTES)];
    let end = bytes.iter().rposition(|byte| *byte != 0)? + 1;
    let mut arguments = Vec::new();
    for argument in bytes[..end].split(|byte| *byte == 0) {
        if arguments.len() == ARGUMENTS {
            cut = true;
            break;
        }
        arguments.push(String::from_utf8_lossy(argument).into_owned());
    }
    if cut {
        arguments.push(ARGUMENTS_CUT.to_owned());
    }
    Some(arguments)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(b"", None)]
    #[case(b"\0\0\0", None)]
    #[case(b"node\0", Some(vec!["node"]))]
    #[case(b"node\0server.js\0", Some(vec!["node", "server.js"]))]
    #[case(b"sh\0-c\0\0x\0", Some(vec!["sh", "-c", "", "x"]))]
    #[case(b"nginx: worker process\0\0\0\0", Some(vec!["nginx: worker process"]))]
    #[case(b"no end", Some(vec!["no end"]))]
    #[case(b"caf\xe9\0", Some(vec!["caf\u{fffd}"]))]
    fn arguments_are_split(#[case] bytes: &[u8], #[case] expected: Option<Vec<&str>>) {
        let expected = expected.map(|args| args.into_iter().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(arguments(bytes), expected);
    }

    #[test]
    fn too_many_or_too_long_arguments_are_cut_and_marked() {
        let many = arguments(&b"a\0".repeat(ARGUMENTS)).unwrap();
        assert_eq!((many.len(), many[ARGUMENTS - 1].as_str()), (ARGUMENTS, "a"));

        let more = arguments(&b"a\0".repeat(ARGUMENTS + 1)).unwrap();
        assert_eq!(
            (more.len(), more[ARGUMENTS].as_str()),
            (ARGUMENTS + 1, ARGUMENTS_CUT)
        );

        let long = arguments(&vec![b'x'; ARGUMENT_BYTES + 1]).unwrap();
        assert_eq!(
            (long.len(), long[0].len(), long[1].as_str()),
            (2, ARGUMENT_BYTES, ARGUMENTS_CUT)
        );
    }
}

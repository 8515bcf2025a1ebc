//! Links the object's calls to functions of the running kernel (kfuncs), which aya does not do.
//!
//! Such a call carries the function's number in the kernel's BTF. The object has placeholders in the place of helpers'
//! numbers; each whole instruction is replaced.

use portwatch_common::kfunc::{PREEMPT_DISABLE, PREEMPT_ENABLE};

use crate::btf::Btf;

/// `BPF_JMP | BPF_CALL` of `include/uapi/linux/bpf.h`.
const CALL: u8 = 0x85;
/// `BPF_PSEUDO_KFUNC_CALL`, in the place of the source register.
const PSEUDO_KFUNC_CALL: u8 = 2 << 4;

/// Numbers of the functions that keep a program's CPU to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preemption {
    disable: u32,
    enable: u32,
}

impl Preemption {
    /// The running kernel's, if it has both.
    #[must_use]
    pub fn find(btf: &Btf<'_>) -> Option<Self> {
        Some(Self {
            disable: btf.func_id("bpf_preempt_disable")?,
            enable: btf.func_id("bpf_preempt_enable")?,
        })
    }

    /// Puts the numbers in the place of the placeholders.
    pub fn link(self, object: &mut [u8]) {
        // Sections of instructions are aligned to eight bytes in the file, as each instruction is.
        for instruction in object.as_chunks_mut().0 {
            for (placeholder, id) in [
                (PREEMPT_DISABLE, self.disable),
                (PREEMPT_ENABLE, self.enable),
            ] {
                if *instruction == call(0, placeholder) {
                    *instruction = call(PSEUDO_KFUNC_CALL, id);
                }
            }
        }
    }
}

/// A call instruction: code, registers, offset, number.
const fn call(registers: u8, number: u32) -> [u8; 8] {
    let [a, b, c, d] = number.to_le_bytes();
    [CALL, registers, 0, 0, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_instructions_are_replaced_and_nothing_else() {
        let preemption = Preemption {
            disable: 0x1234,
            enable: 0x5678,
        };
        let helper = call(0, 7);
        let mut object = [
            call(0, PREEMPT_DISABLE),
            helper,
            call(0, PREEMPT_ENABLE),
            [0, 0, 0, 0, CALL, 0, 0, 0],
        ]
        .concat();
        object.extend_from_slice(&PREEMPT_ENABLE.to_le_bytes());
        preemption.link(&mut object);
        let expected = [
            [CALL, 0x20, 0, 0, 0x34, 0x12, 0, 0],
            helper,
            [CALL, 0x20, 0, 0, 0x78, 0x56, 0, 0],
            [0, 0, 0, 0, CALL, 0, 0, 0],
        ];
        assert_eq!(object[..32], expected.concat());
        assert_eq!(object[32..], PREEMPT_ENABLE.to_le_bytes());
    }

    #[test]
    fn the_built_in_object_has_both_in_each_program() {
        let count = |placeholder| {
            super::super::load::OBJECT
                .chunks_exact(8)
                .filter(|bytes| *bytes == call(0, placeholder))
                .count()
        };
        assert!(count(PREEMPT_DISABLE) >= 30);
        assert!(count(PREEMPT_ENABLE) >= count(PREEMPT_DISABLE));
    }
}

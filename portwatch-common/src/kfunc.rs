//! Functions of the kernel that programs call (kfuncs).
//!
//! A call names its function by a number of the running kernel's BTF, so the object has placeholders, which the loader
//! replaces before it loads it.

/// Stands for `bpf_preempt_disable()` (6.10).
pub const PREEMPT_DISABLE: u32 = 0x7f70_0001;
/// Stands for `bpf_preempt_enable()` (6.10).
pub const PREEMPT_ENABLE: u32 = 0x7f70_0002;

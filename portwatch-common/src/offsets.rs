//! Where the running kernel keeps what the hooks read.
//!
//! Offsets move with every kernel, so none is built in: the loader resolves each [`Field`] from the running kernel's BTF
//! and writes the answers into the object's `.rodata`. A member that this kernel does not have is a fact of its own
//! ([`ABSENT`]) and selects the layout, never a version number.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// This kernel has no such member, type or enumerator.
pub const ABSENT: u32 = u32::MAX;

/// Bytes of `struct sock_common` that programs copy at once. The loader refuses a kernel whose members lie beyond.
pub const SOCK_COMMON_LEN: usize = 136;

/// What is asked of the kernel's BTF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Query {
    /// Byte offset of a member, given the struct and the dotted path (through anonymous members too).
    Member(&'static str, &'static str),
    /// The same for a member that may be a bit-field: `byte | shift << 16 | width << 24`, where `byte` holds the bits
    /// that start at `shift` (width 8 and shift 0 for a whole byte).
    Bits(&'static str, &'static str),
    /// Size of a struct in bytes.
    Size(&'static str),
    /// Value of an enumerator, given the enum and its name.
    Enumerator(&'static str, &'static str),
    /// Number of parameters of a function.
    Function(&'static str),
}

/// One entry of [`Offsets`].
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Name of the entry.
    pub name: &'static str,
    /// What it asks.
    pub query: Query,
    /// Tried when the first answer is "absent" (a member that was renamed).
    pub otherwise: Option<Query>,
    /// Without it nothing can be traced.
    pub required: bool,
}

macro_rules! offsets {
    ($( $(#[$doc:meta])* $name:ident : $need:ident $query:expr $(, else $other:expr)? ;)*) => {
        /// The answers, in the order of [`FIELDS`].
        #[repr(C)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
        pub struct Offsets { $( $(#[$doc])* pub $name: u32, )* }

        /// Every question, in the order of the members of [`Offsets`].
        pub const FIELDS: &[Field] = &[
            $( Field {
                name: stringify!($name),
                query: $query,
                otherwise: offsets!(@other $($other)?),
                required: offsets!(@need $need),
            }, )*
        ];
    };
    (@other) => { None };
    (@other $other:expr) => { Some($other) };
    (@need required) => { true };
    (@need optional) => { false };
}

use Query::{Bits, Enumerator, Function, Member, Size};

offsets! {
    // struct sock_common: the beginning of every kind of socket.
    /// Address family.
    skc_family: required Member("sock_common", "skc_family");
    /// TCP state.
    skc_state: required Member("sock_common", "skc_state");
    /// `SO_REUSEADDR`.
    skc_reuse: required Bits("sock_common", "skc_reuse");
    /// `SO_REUSEPORT`.
    skc_reuseport: required Bits("sock_common", "skc_reuseport");
    /// `IPV6_V6ONLY`.
    skc_ipv6only: required Bits("sock_common", "skc_ipv6only");
    /// `SO_BINDTODEVICE`.
    skc_bound_dev_if: required Member("sock_common", "skc_bound_dev_if");
    /// Local port, host byte order.
    skc_num: required Member("sock_common", "skc_num");
    /// Remote port, network byte order.
    skc_dport: required Member("sock_common", "skc_dport");
    /// Remote IPv4 address.
    skc_daddr: required Member("sock_common", "skc_daddr");
    /// Local IPv4 address.
    skc_rcv_saddr: required Member("sock_common", "skc_rcv_saddr");
    /// Remote IPv6 address.
    skc_v6_daddr: optional Member("sock_common", "skc_v6_daddr");
    /// Local IPv6 address.
    skc_v6_rcv_saddr: optional Member("sock_common", "skc_v6_rcv_saddr");
    /// Network namespace.
    skc_net: required Member("sock_common", "skc_net");
    /// Socket cookie.
    skc_cookie: required Member("sock_common", "skc_cookie");
    /// Link in a bind bucket.
    skc_bind_node: required Member("sock_common", "skc_bind_node");
    /// Link in a UDP slot.
    skc_node: required Member("sock_common", "skc_node");
    /// Hash of the connection.
    skc_hash: required Member("sock_common", "skc_hash");
    /// UDP port hash, then address hash.
    skc_u16hashes: required Member("sock_common", "skc_u16hashes");
    /// Protocol operations.
    skc_prot: required Member("sock_common", "skc_prot");

    // struct sock and struct inet_sock.
    /// The `struct socket`.
    sk_socket: required Member("sock", "sk_socket");
    /// Owner.
    sk_uid: required Member("sock", "sk_uid");
    /// Inode number; its presence says that the kernel compares `sk_uid` (6.18), not the inode's owner.
    sk_ino: optional Member("sock", "sk_ino");
    /// `SOCK_STREAM` and so on.
    sk_type: required Member("sock", "sk_type");
    /// `IPPROTO_*`.
    sk_protocol: required Member("sock", "sk_protocol");
    /// `SOCK_BINDPORT_LOCK` and its siblings.
    sk_userlocks: required Bits("sock", "sk_userlocks");
    /// A kernel socket.
    sk_kern_sock: optional Bits("sock", "sk_kern_sock");
    /// Reuseport group.
    sk_reuseport_cb: required Member("sock", "sk_reuseport_cb");
    /// Local port, network byte order; not cleared when the port is given back.
    inet_sport: required Member("inet_sock", "inet_sport");
    /// `IP_LOCAL_PORT_RANGE` (6.3).
    local_port_range: optional Member("inet_sock", "local_port_range");

    // TIME_WAIT mini-socket.
    /// `TIME_WAIT` or `FIN_WAIT2`.
    tw_substate: required Member("inet_timewait_sock", "tw_substate");
    /// When it ends, jiffies.
    tw_expires: required Member("inet_timewait_sock", "tw_timer.expires");
    /// `connect()` had chosen the port (6.18).
    tw_connect_bind: optional Bits("inet_timewait_sock", "tw_connect_bind");

    // The table of connections.
    /// Heads by hash of the connection.
    hashinfo_ehash: required Member("inet_hashinfo", "ehash");
    /// Their number, less one.
    hashinfo_ehash_mask: required Member("inet_hashinfo", "ehash_mask");
    /// First connection of a head.
    ehash_chain: required Member("inet_ehash_bucket", "chain");
    /// Size of a head.
    ehash_head_size: required Size("inet_ehash_bucket");

    // The TCP bind table.
    /// The table, in the network namespace.
    net_tcp_hashinfo: optional Member("net", "ipv4.tcp_death_row.hashinfo");
    /// Heads by port.
    hashinfo_bhash: required Member("inet_hashinfo", "bhash");
    /// How many.
    hashinfo_bhash_size: required Member("inet_hashinfo", "bhash_size");
    /// First bucket of a head.
    bhash_chain: required Member("inet_bind_hashbucket", "chain");
    /// Size of a head.
    bhash_head_size: required Size("inet_bind_hashbucket");
    /// Namespace of a bucket.
    tb_net: required Member("inet_bind_bucket", "ib_net");
    /// L3 master device of a bucket.
    tb_l3mdev: optional Member("inet_bind_bucket", "l3mdev");
    /// Port of a bucket.
    tb_port: required Member("inet_bind_bucket", "port");
    /// -1: made by `connect()`.
    tb_fastreuse: required Member("inet_bind_bucket", "fastreuse");
    /// -1: made by `connect()`.
    tb_fastreuseport: required Member("inet_bind_bucket", "fastreuseport");
    /// Next bucket.
    tb_node: required Member("inet_bind_bucket", "node");
    /// Sockets of the bucket (before 6.8).
    tb_owners: optional Member("inet_bind_bucket", "owners");
    /// Per-address buckets (since 6.8).
    tb_bhash2: optional Member("inet_bind_bucket", "bhash2");
    /// Link of a per-address bucket.
    tb2_bhash_node: optional Member("inet_bind2_bucket", "bhash_node");
    /// Sockets of a per-address bucket.
    tb2_owners: optional Member("inet_bind2_bucket", "owners");

    // The UDP table.
    /// The table, in the network namespace (6.2).
    net_udp_table: optional Member("net", "ipv4.udp_table");
    /// The table, through the protocol (until 7.x).
    prot_udp_table: optional Member("proto", "h.udp_table");
    /// Slots.
    udp_hash: required Member("udp_table", "hash");
    /// Their number, less one.
    udp_mask: required Member("udp_table", "mask");
    /// Size of a slot.
    udp_slot_size: required Size("udp_hslot");
    /// First socket of a slot.
    udp_slot_head: required Member("udp_hslot", "head");

    // Network namespace.
    /// Its inode.
    net_inum: required Member("net", "ns.inum");
    /// Its cookie (5.12, and stable 5.10).
    net_cookie: optional Member("net", "net_cookie");
    /// Salt of its hashes.
    net_hash_mix: required Member("net", "hash_mix");
    /// `ip_local_port_range`.
    net_port_range: optional Member("net", "ipv4.ip_local_ports.range");
    /// Size of the struct around it, which tells its form: two `int`s behind a seqlock, or one packed `u32` (6.8).
    local_ports_size: optional Size("local_ports");
    /// `ip_local_reserved_ports`, a bitmap.
    net_reserved_ports: optional Member("net", "ipv4.sysctl_local_reserved_ports");
    /// `ip_unprivileged_port_start`.
    net_unprivileged_start: optional Member("net", "ipv4.sysctl_ip_prot_sock");

    // From a descriptor to a socket.
    /// `struct sock` of a `struct socket`.
    socket_sk: required Member("socket", "sk");
    /// `struct file` of a `struct socket`.
    socket_file: required Member("socket", "file");
    /// The `struct socket` next to an inode.
    alloc_socket: required Member("socket_alloc", "socket");
    /// The inode next to a `struct socket`.
    alloc_inode: required Member("socket_alloc", "vfs_inode");
    /// Inode number.
    i_ino: required Member("inode", "i_ino");
    /// Inode's owner.
    i_uid: required Member("inode", "i_uid");
    /// A socket's file leads to its `struct socket`.
    file_private_data: required Member("file", "private_data");
    /// Mount of a file.
    file_mnt: required Member("file", "f_path.mnt");
    /// Directory entry of a file.
    file_dentry: required Member("file", "f_path.dentry");
    /// Descriptors of a task.
    task_files: required Member("task_struct", "files");
    /// Their table.
    files_fdt: required Member("files_struct", "fdt");
    /// The table's array.
    fdt_fd: required Member("fdtable", "fd");
    /// The array's length.
    fdt_max: required Member("fdtable", "max_fds");

    // Tasks.
    /// Process id.
    task_tgid: required Member("task_struct", "tgid");
    /// Leader thread.
    task_group_leader: required Member("task_struct", "group_leader");
    /// Parent.
    task_real_parent: required Member("task_struct", "real_parent");
    /// Start, `CLOCK_BOOTTIME`.
    task_start_boottime: required Member("task_struct", "start_boottime");
    /// Name.
    task_comm: required Member("task_struct", "comm");
    /// `PF_*`.
    task_flags: required Member("task_struct", "flags");
    /// Exit status.
    task_exit_code: required Member("task_struct", "exit_code");
    /// Credentials.
    task_cred: required Member("task_struct", "cred");
    /// Effective capabilities.
    cred_cap_effective: required Member("cred", "cap_effective");
    /// Namespaces.
    task_nsproxy: required Member("task_struct", "nsproxy");
    /// Network namespace.
    nsproxy_net: required Member("nsproxy", "net_ns");
    /// Its number in each pid namespace.
    task_thread_pid: optional Member("task_struct", "thread_pid");
    /// How deep the innermost one is.
    pid_level: optional Member("pid", "level");
    /// The numbers, outermost first.
    pid_numbers: optional Member("pid", "numbers");
    /// Size of a number with its namespace.
    upid_size: optional Size("upid");
    /// The number itself.
    upid_nr: optional Member("upid", "nr");
    /// How signals are handled.
    task_sighand: optional Member("task_struct", "sighand");
    /// What is done for each signal, from 1.
    sighand_action: optional Member("sighand_struct", "action");
    /// Its handler.
    sigaction_handler: optional Member("k_sigaction", "sa.sa_handler");
    /// How a signal came about.
    siginfo_code: optional Member("kernel_siginfo", "si_code");
    /// State shared by the threads.
    task_signal: required Member("task_struct", "signal");
    /// Threads that live.
    signal_live: required Member("signal_struct", "live");
    /// `TS_COMPAT` and others: a 32-bit call is under way (x86).
    task_status: optional Member("task_struct", "thread_info.status");
    /// Memory map.
    task_mm: required Member("task_struct", "mm");
    /// Start of the arguments.
    mm_arg_start: required Member("mm_struct", "arg_start");
    /// End of the arguments.
    mm_arg_end: required Member("mm_struct", "arg_end");
    /// Executable.
    mm_exe_file: required Member("mm_struct", "exe_file");

    // Paths.
    /// Name of a directory entry.
    dentry_name: required Member("dentry", "d_name.name");
    /// Its parent.
    dentry_parent: required Member("dentry", "d_parent");
    /// The mount around a `vfsmount`.
    mount_mnt: required Member("mount", "mnt");
    /// Where it is mounted: mount.
    mount_parent: required Member("mount", "mnt_parent");
    /// Where it is mounted: directory entry.
    mount_mountpoint: required Member("mount", "mnt_mountpoint");
    /// Root of a mount.
    vfsmount_root: required Member("vfsmount", "mnt_root");

    // Control groups.
    /// A task's groups.
    task_cgroups: optional Member("task_struct", "cgroups");
    /// Group in the unified hierarchy.
    cset_dfl_cgrp: optional Member("css_set", "dfl_cgrp");
    /// Groups by controller.
    cset_subsys: optional Member("css_set", "subsys");
    /// Group of a controller's state.
    css_cgroup: optional Member("cgroup_subsys_state", "cgroup");
    /// `kernfs` node.
    cgroup_kn: optional Member("cgroup", "kn");
    /// Name of a `kernfs` node.
    kn_name: optional Member("kernfs_node", "name");
    /// Its parent (`__parent` since 6.15).
    kn_parent: optional Member("kernfs_node", "parent"), else Member("kernfs_node", "__parent");
    /// Its id.
    kn_id: optional Member("kernfs_node", "id");
    /// Index of the pids controller.
    subsys_pids: optional Enumerator("cgroup_subsys_id", "pids_cgrp_id");
    /// Index of the memory controller.
    subsys_memory: optional Enumerator("cgroup_subsys_id", "memory_cgrp_id");
    /// Index of the devices controller.
    subsys_devices: optional Enumerator("cgroup_subsys_id", "devices_cgrp_id");
    /// Index of the cpu controller.
    subsys_cpu: optional Enumerator("cgroup_subsys_id", "cpu_cgrp_id");

    // io_uring.
    /// Operation of a request.
    req_opcode: optional Member("io_kiocb", "opcode");
    /// File of a request.
    req_file: optional Member("io_kiocb", "file");
    /// Result of a request.
    req_result: optional Member("io_kiocb", "cqe.res");
    /// Data kept while the request is under way.
    req_async_data: optional Member("io_kiocb", "async_data");
    /// Address in the data of a request.
    io_msghdr_addr: optional Member("io_async_msghdr", "addr");
    /// Value of `IORING_OP_BIND` (6.11).
    op_bind: optional Enumerator("io_uring_op", "IORING_OP_BIND");
    /// Value of `IORING_OP_LISTEN` (6.11).
    op_listen: optional Enumerator("io_uring_op", "IORING_OP_LISTEN");

    // Sockets of the unix family.
    /// The address of a unix socket.
    unix_addr: optional Member("unix_sock", "addr");
    /// Directory entry of the file that it is bound to.
    unix_dentry: optional Member("unix_sock", "path.dentry");
    /// How many sockets have an address in common.
    unix_addr_refs: optional Member("unix_address", "refcnt");
    /// Length of an address, with its family.
    unix_addr_len: optional Member("unix_address", "len");
    /// An address.
    unix_addr_name: optional Member("unix_address", "name");
    /// Names by network namespace (6.0); its presence says how a socket is hashed.
    net_unix_table: optional Member("net", "unx.table");
    /// The inode of a directory entry.
    dentry_inode: optional Member("dentry", "d_inode");

    // What waits in the queue of a unix socket.
    /// Head of a socket's queue.
    sk_receive_queue: optional Member("sock", "sk_receive_queue");
    /// Next in a queue.
    skb_next: optional Member("sk_buff", "next");
    /// The connection that waits for `accept()`; of a message the sending socket.
    skb_sk: optional Member("sk_buff", "sk");
    /// What a protocol keeps in a packet.
    skb_cb: optional Member("sk_buff", "cb");
    /// Of the unix family: the files of a message.
    unix_skb_files: optional Member("unix_skb_parms", "fp");
    /// Its sender.
    unix_skb_pid: optional Member("unix_skb_parms", "pid");
    /// How many files.
    files_count: optional Member("scm_fp_list", "count");
    /// The files.
    files_array: optional Member("scm_fp_list", "fp");
    /// Tasks of a `struct pid`, by kind.
    pid_tasks: optional Member("pid", "tasks");

    // Who waits for a socket.
    /// A socket's queue of waiters.
    sk_wq: optional Member("sock", "sk_wq");
    /// Head of their list.
    socket_wq_head: optional Member("socket_wq", "wait.head");
    /// Link of a waiter.
    waiter_entry: optional Member("wait_queue_entry", "entry");
    /// Whom a waiter is for.
    waiter_private: optional Member("wait_queue_entry", "private");
    /// The task that is in `poll()` or `select()`.
    poll_task: optional Member("poll_wqueues", "polling_task");
    /// Task of an `io_uring` request (until 6.12).
    req_task: optional Member("io_kiocb", "task");
    /// Its task's context (6.13).
    req_tctx: optional Member("io_kiocb", "tctx");
    /// The task of that.
    tctx_task: optional Member("io_uring_task", "task");
    /// Thread id.
    task_pid: optional Member("task_struct", "pid");

    // A system call's arguments, in the registers that its caller had.
    /// The first (`x86_64`), or all of them in a row (`aarch64`).
    regs_arg0: optional Member("pt_regs", "di"), else Member("pt_regs", "regs");
    /// The second.
    regs_arg1: optional Member("pt_regs", "si");
    /// The third.
    regs_arg2: optional Member("pt_regs", "dx");
    /// Value of the helper's enumerator: a program may ask for the registers (5.15).
    helper_task_pt_regs: optional Enumerator("bpf_func_id", "BPF_FUNC_task_pt_regs");

    // Functions.
    /// `bpf_get_socket_cookie()` for tracing programs (5.12).
    fn_socket_ptr_cookie: optional Function("bpf_get_socket_ptr_cookie");
    /// Programs of system calls' tracepoints can be preempted (7.2).
    fn_trace_call_faultable: optional Function("trace_call_bpf_faultable");
    /// The function that puts a `TIME_WAIT` into the tables and starts its timer (6.12; not in 6.8).
    fn_twsk_hashdance_schedule: optional Function("inet_twsk_hashdance_schedule");
    /// Parameters of the function that answers a segment for a `TIME_WAIT`.
    fn_timewait_state_process: optional Function("tcp_timewait_state_process");
}

impl Offsets {
    /// Nothing is known: what the object contains before the loader has filled it in.
    pub const UNKNOWN: Self = zerocopy::transmute!([ABSENT; size_of::<Self>() / 4]);

    /// True if the names and queues of unix sockets can be read: where that family is a module, its types are not here.
    #[must_use]
    pub const fn describe_unix_sockets(&self) -> bool {
        let needed = [
            self.unix_addr,
            self.unix_dentry,
            self.unix_addr_refs,
            self.unix_addr_len,
            self.unix_addr_name,
            self.dentry_inode,
            self.sk_receive_queue,
            self.skb_next,
            self.skb_sk,
            self.skb_cb,
            self.unix_skb_files,
            self.files_count,
            self.files_array,
            self.sk_wq,
            self.socket_wq_head,
            self.waiter_entry,
            self.waiter_private,
            self.task_pid,
        ];
        let mut at = 0;
        while at < needed.len() {
            if needed[at] == ABSENT {
                return false;
            }
            at += 1;
        }
        true
    }
}

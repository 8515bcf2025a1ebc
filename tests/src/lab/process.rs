//! The processes of a scenario, as the script sees them.

mod given_pid;
mod keep;
mod sockets;

use std::{
    cell::{Ref, RefCell},
    collections::HashMap,
    net::{Ipv4Addr, SocketAddrV4},
    os::fd::{AsFd, OwnedFd, RawFd},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Instant,
};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

pub(super) use self::sockets::result_name;
use super::{Lab, Skip};
use super::{
    agent,
    protocol::{Identity, Kind, Reply, Request, Target, put, put_fd, take, take_fd},
};
use crate::harness::patience;

/// A socket, by its descriptor in the process that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sock(RawFd);

/// What a socket was made with.
#[derive(Clone, Debug)]
struct Facts {
    kind: Kind,
    netns: u64,
    options: Vec<String>,
    target: Option<Target>,
}

/// A process that does as the script tells it. It ends when this is dropped.
pub struct Process<'lab> {
    lab: &'lab Lab,
    control: Option<OwnedFd>,
    spare: RefCell<Option<OwnedFd>>,
    identity: RefCell<Identity>,
    sockets: RefCell<HashMap<Sock, Facts>>,
    child: Option<Child>,
}

impl<'lab> Process<'lab> {
    pub(super) fn start(lab: &'lab Lab, program: &str) -> Result<Self> {
        let mut command = Command::new(lab.program(program)?);
        command.arg(agent::SUBCOMMAND);
        Self::run(lab, command)
    }

    pub(super) fn stand_in(lab: &'lab Lab, program: &str, args: &[&str]) -> Result<Self> {
        let mut command = Command::new(lab.program(program)?);
        command.args(args).env(agent::STAND_IN, "");
        Self::run(lab, command)
    }

    fn run(lab: &'lab Lab, mut command: Command) -> Result<Self> {
        let (control, theirs) = control_pair()?;
        let (spare, their_spare) = control_pair()?;
        let child = command
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::from(their_spare))
            .spawn()
            .context("agent")?;
        Self::greet(lab, control, Some(spare), HashMap::new(), Some(child))
    }

    /// Starts a process that has this pid. Nobody may have it now.
    pub(super) fn start_with_pid(lab: &'lab Lab, program: &str, pid: u32) -> Result<Self> {
        let (control, theirs) = control_pair()?;
        let (spare, their_spare) = control_pair()?;
        given_pid::start(&lab.program(program)?, pid, &theirs, &their_spare)?;
        drop((theirs, their_spare));
        Self::greet(lab, control, Some(spare), HashMap::new(), None)
    }

    fn greet(
        lab: &'lab Lab,
        control: OwnedFd,
        spare: Option<OwnedFd>,
        sockets: HashMap<Sock, Facts>,
        child: Option<Child>,
    ) -> Result<Self> {
        let Some(Reply::Hello(identity)) = take(&control)? else {
            bail!("no hello")
        };
        Ok(Self {
            lab,
            control: Some(control),
            spare: RefCell::new(spare),
            identity: RefCell::new(identity),
            sockets: RefCell::new(sockets),
            child,
        })
    }

    /// Process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.identity().pid
    }

    /// Inode of its network namespace.
    #[must_use]
    pub fn netns(&self) -> u64 {
        self.identity().netns
    }

    pub(super) fn options(&self, socket: Sock) -> Vec<String> {
        self.sockets
            .borrow()
            .get(&socket)
            .map_or_else(Vec::new, |facts| facts.options.clone())
    }

    /// True if what this process held at the checkpoint is older than portwatch's run.
    pub(super) fn was_there_before_tracing(&self) -> bool {
        self.lab.pace.at_checkpoint
    }

    pub(in crate::lab) fn identity(&self) -> Ref<'_, Identity> {
        self.identity.borrow()
    }

    fn ask(&self, request: &Request) -> Result<Reply> {
        let control = self.control.as_ref().context("the process has ended")?;
        put(control, request)?;
        match take(control)?.with_context(|| format!("the process ended in {request:?}"))? {
            Reply::Failed(error) => bail!("{request:?}: {error}"),
            Reply::Unsupported(reason) => Err(Skip(reason).into()),
            reply => Ok(reply),
        }
    }

    fn ask_fd(&self, request: &Request) -> Result<Sock> {
        match self.ask(request)? {
            Reply::Fd(fd) => Ok(Sock(fd)),
            reply => bail!("{request:?}: {reply:?}"),
        }
    }

    fn become_other(&self, request: &Request) -> Result<()> {
        match self.ask(request)? {
            Reply::Hello(identity) => *self.identity.borrow_mut() = identity,
            reply => bail!("{request:?}: {reply:?}"),
        }
        Ok(())
    }

    /// Moves to a network namespace of its own.
    pub fn new_netns(&self) -> Result<()> {
        self.become_other(&Request::NewNetns)
    }

    /// Gives `lo` one more address.
    pub fn add_address(&self, addr: Ipv4Addr) -> Result<()> {
        self.ask(&Request::AddAddress(addr)).map(drop)
    }

    /// Has the kernel itself listen on an address, for as long as this process's network namespace exists.
    pub fn listen_in_kernel(&self, at: SocketAddrV4) -> Result<()> {
        self.ask(&Request::ListenInKernel(at)).map(drop)
    }

    /// Moves to the network namespace of another process.
    pub fn join_netns(&self, other: &Process<'_>) -> Result<()> {
        self.become_other(&Request::JoinNetns(other.pid()))
    }

    /// Writes a setting.
    pub fn write_file(&self, path: &Path, text: &str) -> Result<()> {
        self.ask(&Request::WriteFile(path.into(), text.into()))
            .map(drop)
    }

    /// Changes its working directory.
    pub fn change_directory(&self, path: &Path) -> Result<()> {
        self.ask(&Request::ChangeDirectory(path.into())).map(drop)
    }

    /// Changes its root.
    pub fn change_root(&self, path: &Path) -> Result<()> {
        self.ask(&Request::ChangeRoot(path.into())).map(drop)
    }

    /// Becomes another user for good.
    pub fn set_uid(&self, uid: u32) -> Result<()> {
        self.become_other(&Request::SetUid(uid))
    }

    /// Has a seccomp filter of its own answer every `bind()` from now on, with `EACCES`.
    pub fn forbid_bind(&self) -> Result<()> {
        self.ask(&Request::ForbidBind).map(drop)
    }

    /// Sets the name of the leader thread.
    pub fn set_name(&self, name: &[u8]) -> Result<()> {
        self.become_other(&Request::SetName(name.into()))
    }

    /// Forks. The child has the same sockets.
    pub fn fork(&self) -> Result<Process<'lab>> {
        self.fork_by(&Request::Fork)
    }

    /// Forks a child that forks another one and ends: that one. It has the same sockets.
    pub fn fork_twice(&self) -> Result<Process<'lab>> {
        self.fork_by(&Request::ForkTwice)
    }

    fn fork_by(&self, request: &Request) -> Result<Process<'lab>> {
        let spare = self
            .spare
            .borrow_mut()
            .take()
            .context("a process can fork once")?;
        self.ask(request)?;
        Process::greet(self.lab, spare, None, self.sockets.borrow().clone(), None)
    }

    /// Hands a socket over to another process, in messages.
    pub fn hand_over(&self, socket: Sock, to: &Process<'_>) -> Result<Sock> {
        let facts = self.sockets.borrow().get(&socket).cloned();
        let facts = facts.context("whose socket is that?")?;
        let theirs = to.control.as_ref().context("the process has ended")?;
        let fd = {
            let control = self.control.as_ref().context("the process has ended")?;
            put(control, &Request::Give(socket.0))?;
            let fd = take_fd(control)?;
            let Some(Reply::Done) = take(control)? else {
                bail!("it was not given")
            };
            fd
        };
        put(theirs, &Request::Receive)?;
        put_fd(theirs, fd.as_fd())?;
        let Some(Reply::Fd(fd)) = take(theirs)? else {
            bail!("it was not received")
        };
        to.sockets.borrow_mut().insert(Sock(fd), facts);
        Ok(Sock(fd))
    }

    /// Keeps `SIGTERM` pending from now on.
    pub fn hold_term(&self) -> Result<()> {
        self.ask(&Request::HoldTerm).map(drop)
    }

    /// Sends `SIGTERM` to another process.
    pub fn send_term(&self, to: &Process<'_>) -> Result<()> {
        self.ask(&Request::SendTerm(to.pid().cast_signed()))
            .map(drop)
    }

    /// Executes another program, which goes on as this process with these sockets.
    pub fn exec(&self, program: &str, keep: &[Sock], args: &[&[u8]]) -> Result<()> {
        let exe: PathBuf = self.lab.program(program)?;
        self.sockets
            .borrow_mut()
            .retain(|socket, _| keep.contains(socket));
        self.become_other(&Request::Exec {
            exe,
            keep: keep.iter().map(|socket| socket.0).collect(),
            args: args.iter().map(|arg| arg.to_vec()).collect(),
        })
    }

    /// Lets the process end, and waits until it has. Its sockets are closed then.
    pub fn end(&mut self) -> Result<()> {
        self.control = None;
        self.spare.replace(None);
        self.child.as_mut().context("not a child")?.wait()?;
        Ok(())
    }
}

impl Process<'_> {
    /// Lets a process that another one has forked end, and waits until it has.
    pub fn end_elsewhere(&mut self) -> Result<()> {
        self.control = None;
        let entry = PathBuf::from(format!("/proc/{}/fd", self.pid()));
        let deadline = Instant::now() + patience();
        // There is no event for it: it is nobody's child here.
        while std::fs::read_dir(&entry).is_ok_and(|mut fds| fds.next().is_some()) {
            ensure!(Instant::now() < deadline, "{} lives", self.pid());
            thread::yield_now();
        }
        Ok(())
    }
}

impl Drop for Process<'_> {
    fn drop(&mut self) {
        // It may be inside a call that never returns. Best effort: a child of it ends with its control socket.
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn control_pair() -> Result<(OwnedFd, OwnedFd)> {
    socketpair(
        AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        SockFlag::SOCK_CLOEXEC,
    )
    .context("control socket")
}
